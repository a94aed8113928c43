//! Beauty: filters that even out, lighten and warm skin and bring out edges, as shader passes on the GPU
//! (`shaders/beauty`). They know skin by its hue, keep edges, hair and text, and do nothing at all where nothing is asked
//! for. Works on whatever device `wgpu` opens, a software renderer included.

mod passes;
mod picture;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use passes::BeautyPasses;
pub use picture::{PictureFilter, PictureFilterError};

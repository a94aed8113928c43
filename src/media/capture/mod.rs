//! Sources of pictures and sound.

mod clock;
mod pace;
mod page;
mod paint;
mod path;
mod portrait;
mod rhythm;
mod stage;
pub mod stamp;
mod text;

pub use page::PageSource;
pub use portrait::PortraitSource;

//! Sources of pictures and sound: cameras, screens and windows, generated people, a generated page, generated speech,
//! and files. Each paces itself on the thread that pulls it.

mod camera;
mod clock;
mod convert;
mod devices;
mod file;
mod ivf;
mod ogg_opus;
mod pace;
mod page;
mod paint;
mod path;
mod portrait;
mod resample;
mod rhythm;
mod scale;
mod screen;
mod speech;
mod stage;
pub mod stamp;
mod text;
mod wav;
mod y4m;

pub use camera::{Camera, CameraInfo, list_cameras};
pub use devices::{DeviceWatch, Devices};
pub use file::{open_audio_file, open_video_file};
pub use page::PageSource;
pub use portrait::PortraitSource;
pub use screen::{ScreenInfo, ScreenKind, Screens, THUMBNAIL_WIDTH_PX, Thumbnail};
pub use speech::SpeechSource;
pub use stamp::Stamp;

//! Voices from where they are, for two ears: a head's measured filters, the distance, the room's answer.
//!
//! - [`SoundSceneCell`]: how the room's scene comes here; nobody waits for anybody.
//! - [`Stage`]: the mix of a block; [`StageVoice`]: what is kept of each voice.
//! - [`Ears`]: a head's filters; `measured` makes them, on a thread of its own, from the measurements in `assets/`.
//! - `bearing`, `distance`: where a voice is as the head has it, and how loud that leaves it.
//! - `reverb`: early reflections and a short tail, shared by all voices that are somewhere.
//!
//! Everything but `measured` runs on the playout thread, and allocates and waits for nothing there.

mod bearing;
mod distance;
mod ears;
mod fourier;
mod measured;
mod reverb;
mod scene_cell;
mod stage;
mod stage_voice;

pub use ears::Ears;
pub use measured::EarsError;
pub use scene_cell::SoundSceneCell;
pub use stage::Stage;
pub use stage_voice::StageVoice;

//! How much a picture of oneself is retouched: plain data, checked where it comes in.

use std::fmt;
use std::str::FromStr;

/// The largest value of a parameter.
pub const BEAUTY_MAX: u8 = 100;
const DEFAULT: u8 = 50;

/// The four filters, each 0..=100; 0 leaves the picture alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BeautyParams {
    smooth: u8,
    whiten: u8,
    rosy: u8,
    sharpen: u8,
}

/// Why parameters cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeautyError {
    /// Nothing is clamped: whoever asks for more than there is has made a mistake.
    #[error("{name} is {value}: 0 to {BEAUTY_MAX} would do")]
    OutOfRange {
        /// Which parameter.
        name: &'static str,
        /// What was asked for.
        value: String,
    },
    /// Not one of the four.
    #[error(
        "there is no filter `{0}`: write smooth=50,whiten=50,rosy=50,sharpen=50, or some of them; or natural, clear or warm"
    )]
    Unknown(String),
    /// One filter, two values.
    #[error("{0} is named twice")]
    Twice(&'static str),
}

const NAMES: [&str; 4] = ["smooth", "whiten", "rosy", "sharpen"];

impl BeautyParams {
    /// Everything off: the picture stays as it is, bit for bit.
    pub const NONE: Self = Self { smooth: 0, whiten: 0, rosy: 0, sharpen: 0 };

    /// Ready-made ones: hardly visible; rested and crisp; with colour in the cheeks.
    pub const PRESETS: [(&'static str, Self); 3] = [
        ("natural", Self { smooth: 35, whiten: 15, rosy: 15, sharpen: 20 }),
        ("clear", Self { smooth: 55, whiten: 40, rosy: 15, sharpen: 45 }),
        ("warm", Self { smooth: 45, whiten: 15, rosy: 60, sharpen: 20 }),
    ];

    /// # Errors
    /// [`BeautyError::OutOfRange`] when a value is not 0..=100.
    pub fn new(smooth: u32, whiten: u32, rosy: u32, sharpen: u32) -> Result<Self, BeautyError> {
        let mut values = [0; 4];
        for ((value, wished), name) in values.iter_mut().zip([smooth, whiten, rosy, sharpen]).zip(NAMES) {
            let fits = u8::try_from(wished).ok().filter(|value| *value <= BEAUTY_MAX);
            *value = fits.ok_or_else(|| BeautyError::OutOfRange { name, value: wished.to_string() })?;
        }
        Ok(Self::of(values))
    }

    fn of([smooth, whiten, rosy, sharpen]: [u8; 4]) -> Self {
        Self { smooth, whiten, rosy, sharpen }
    }

    /// Smooth, whiten, rosy and sharpen, each as 0..=1.
    pub fn strengths(self) -> [f32; 4] {
        self.values().map(|value| f32::from(value) / f32::from(BEAUTY_MAX))
    }

    /// Of [`BeautyParams::values`]; nothing is clamped.
    ///
    /// # Errors
    /// [`BeautyError::OutOfRange`] when a value is not 0..=100.
    pub fn of_values([smooth, whiten, rosy, sharpen]: [u8; 4]) -> Result<Self, BeautyError> {
        Self::new(smooth.into(), whiten.into(), rosy.into(), sharpen.into())
    }

    /// Smooth, whiten, rosy and sharpen.
    pub fn values(self) -> [u8; 4] {
        [self.smooth, self.whiten, self.rosy, self.sharpen]
    }

    /// Whether nothing is to be done at all.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// What is done to an own picture before it is shown and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Beauty {
    /// Whether `params` apply.
    pub enabled: bool,
    /// How much of each filter.
    pub params: BeautyParams,
    /// Dark pictures are brightened. A switch of its own: `enabled` is not asked.
    pub low_light: bool,
    /// What becomes of the stream when filtering fails.
    pub on_failure: OnBeautyFailure,
}

/// What becomes of a stream whose picture cannot be filtered any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnBeautyFailure {
    /// It goes on unfiltered, and filtered again as soon as that works.
    #[default]
    Continue,
    /// It ends: better no picture than an unfiltered one.
    Stop,
}

/// How far the filtering of an own picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BeautyState {
    /// The picture is sent as it comes.
    #[default]
    Off,
    /// Asked for; until the first filtered picture nothing is sent.
    Starting,
    /// What is sent is filtered.
    On,
    /// It did not work; what is sent is what [`OnBeautyFailure`] says.
    Failed,
}

impl Beauty {
    /// Filters of this strength, and no brightening.
    pub fn of(params: BeautyParams) -> Self {
        Self { enabled: true, params, ..Self::default() }
    }

    /// The filters that apply now.
    pub fn applied(self) -> BeautyParams {
        if self.enabled { self.params } else { BeautyParams::NONE }
    }

    /// Whether the picture is left as it is.
    pub fn is_idle(self) -> bool {
        self.applied().is_none() && !self.low_light
    }
}

impl Default for BeautyParams {
    fn default() -> Self {
        Self::of([DEFAULT; 4])
    }
}

impl fmt::Display for BeautyParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [smooth, whiten, rosy, sharpen] = self.values();
        write!(f, "smooth={smooth},whiten={whiten},rosy={rosy},sharpen={sharpen}")
    }
}

/// As in `smooth=60,whiten=30`, where what is not named is off; or the name of a preset.
impl FromStr for BeautyParams {
    type Err = BeautyError;

    fn from_str(text: &str) -> Result<Self, BeautyError> {
        if let Some((_, preset)) = Self::PRESETS.iter().find(|(name, _)| *name == text.trim()) {
            return Ok(*preset);
        }
        let mut values = [None; 4];
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let index = NAMES.iter().position(|known| *known == name.trim());
            let index = index.ok_or_else(|| BeautyError::Unknown(name.trim().chars().take(40).collect()))?;
            let told: String = value.trim().chars().take(20).collect();
            let fits = told.parse::<u8>().ok().filter(|value| *value <= BEAUTY_MAX);
            let value = fits.ok_or(BeautyError::OutOfRange { name: NAMES[index], value: told })?;
            if values[index].replace(value).is_some() {
                return Err(BeautyError::Twice(NAMES[index]));
            }
        }
        Ok(Self::of(values.map(Option::unwrap_or_default)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let params: BeautyParams = "smooth=60, whiten=30,sharpen=100".parse().unwrap();
        assert_eq!(params.values(), [60, 30, 0, 100]);
        assert_eq!(params.to_string().parse(), Ok(params));
        assert_eq!("".parse(), Ok(BeautyParams::NONE));
        assert_eq!("clear".parse::<BeautyParams>().map(BeautyParams::values), Ok([55, 40, 15, 45]));
        assert!(BeautyParams::NONE.is_none() && !params.is_none());
        assert_eq!(BeautyParams::default().values(), [50; 4]);
        assert_eq!(BeautyParams::new(100, 0, 1, 2).map(BeautyParams::values), Ok([100, 0, 1, 2]));
    }

    #[test]
    fn nothing_is_clamped_and_mistakes_are_named() {
        for bad in ["smooth=101", "smooth=-1", "smooth=NaN", "smooth=5.5", "smooth=", "smooth", "smooth=1e1"] {
            let error = bad.parse::<BeautyParams>().unwrap_err();
            assert!(error.to_string().contains("0 to 100"), "{bad}: {error}");
        }
        let error = BeautyParams::new(0, 0, 4_000_000_000, 0).unwrap_err();
        assert_eq!(error, BeautyError::OutOfRange { name: "rosy", value: "4000000000".into() });
        assert!("smoth=3".parse::<BeautyParams>().unwrap_err().to_string().contains("smooth=50"));
        assert_eq!("rosy=1,rosy=2".parse::<BeautyParams>(), Err(BeautyError::Twice("rosy")));
        let long = format!("{}=1", "x".repeat(10_000));
        assert!(long.parse::<BeautyParams>().unwrap_err().to_string().len() < 200);
    }
}

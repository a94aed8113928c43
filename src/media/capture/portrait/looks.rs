//! Who is portrayed: complexion, hair, clothes and backdrop, chosen by seed so that neighbours differ.

use super::super::paint::Colour;
use super::super::rhythm::mix;

/// How the hair is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HairStyle {
    SidePart,
    Bob,
    Long,
    Bun,
    Curls,
    Crop,
    Quiff,
    Scarf,
}

/// What is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Garment {
    Sweater,
    Shirt,
    Hoodie,
    Blazer,
}

/// What is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    Lights,
    Window,
    Shelf,
    Plant,
}

/// One person's looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub skin: Colour,
    pub hair: Colour,
    pub style: HairStyle,
    pub cloth: Colour,
    pub accent: Colour,
    pub garment: Garment,
    pub scene: Scene,
    /// Backdrop colours, lit side and far side.
    pub walls: (Colour, Colour),
    pub iris: Colour,
    pub glasses: bool,
    pub beard: bool,
    pub earrings: bool,
    /// Width of the face, 0.94..=1.06.
    pub broad: f32,
}

const SKINS: [u32; 8] =
    [0xF3_C9_A8, 0x8A_55_38, 0xE0_A8_7C, 0x6B_43_30, 0xF7_D7_BE, 0xB5_7B_50, 0xEC_BC_93, 0xC9_92_66];
const LIGHT_HAIR: [u32; 6] = [0x8A_4B_2A, 0xD8_AE_62, 0x3A_27_1E, 0xB2_5A_2C, 0x9B_98_9C, 0x5B_3A_26];
const DARK_HAIR: [u32; 4] = [0x23_1A_19, 0x33_22_1C, 0x1C_1A_22, 0x45_2C_20];
const STYLES: [HairStyle; 8] = [
    HairStyle::Quiff,
    HairStyle::Curls,
    HairStyle::Bob,
    HairStyle::Crop,
    HairStyle::Long,
    HairStyle::SidePart,
    HairStyle::Bun,
    HairStyle::Scarf,
];
/// Cloth with the accent that goes with it.
const CLOTHS: [(u32, u32); 8] = [
    (0x2F_6F_73, 0xF4_E3_C1),
    (0xE0_9F_3E, 0x54_0B_0E),
    (0x9B_3D_4F, 0xF7_D6_C4),
    (0x3B_56_86, 0xF1_ED_E4),
    (0xF0_E4_D0, 0x6B_70_5C),
    (0x5F_47_75, 0xE9_C4_6A),
    (0x4F_77_4B, 0xFD_F0_D5),
    (0x2B_2D_42, 0xEF_83_54),
];
/// Lit side, far side.
const WALLS: [(u32, u32); 8] = [
    (0xF2_D3_B0, 0xC9_7F_5F),
    (0x7F_B2_B0, 0x1F_4E_5A),
    (0xC8_C3_E6, 0x5B_51_8B),
    (0xE9_DD_C0, 0x9A_8A_62),
    (0x8F_AE_CF, 0x2A_45_6E),
    (0xF3_BF_A6, 0x9E_4B_52),
    (0xB9_CF_A5, 0x4A_6B_4C),
    (0xB8_C4_CC, 0x4A_59_68),
];
const IRISES: [u32; 5] = [0x4A_2E_1C, 0x3F_6B_4F, 0x3A_62_8A, 0x2A_1C_14, 0x6B_4A_22];

fn pick<T: Copy, const N: usize>(from: [T; N], index: u64) -> T {
    from[(index % N as u64) as usize]
}

impl Looks {
    /// The looks that belong to a seed. Eight seeds in a row differ in hair style, complexion, clothes and backdrop.
    pub fn new(seed: u64) -> Self {
        let chance = |what: u64| mix(seed, 100 + what);
        let round = seed / 8;
        let skin_index = seed.wrapping_mul(3).wrapping_add(round);
        let skin = Colour::hex(pick(SKINS, skin_index));
        let dark = u32::from(skin.r) < 0xC0;
        let hair = if dark { pick(DARK_HAIR, chance(0)) } else { pick(LIGHT_HAIR, seed.wrapping_add(chance(1) % 2)) };
        let style = pick(STYLES, seed.wrapping_add(round.wrapping_mul(3)));
        let cloth = pick(CLOTHS, seed.wrapping_mul(5).wrapping_add(round).wrapping_add(3));
        let wall = pick(WALLS, seed.wrapping_add(round.wrapping_mul(3)));
        let short = matches!(style, HairStyle::Quiff | HairStyle::Crop | HairStyle::SidePart);
        Self {
            skin,
            hair: Colour::hex(hair),
            style,
            cloth: Colour::hex(cloth.0),
            accent: Colour::hex(cloth.1),
            garment: pick(
                [Garment::Shirt, Garment::Sweater, Garment::Blazer, Garment::Hoodie],
                seed.wrapping_add(seed / 4),
            ),
            scene: pick([Scene::Window, Scene::Lights, Scene::Plant, Scene::Shelf], seed.wrapping_add(round)),
            walls: (Colour::hex(wall.0), Colour::hex(wall.1)),
            iris: Colour::hex(if dark { pick([IRISES[0], IRISES[3]], chance(2)) } else { pick(IRISES, chance(2)) }),
            glasses: chance(3).is_multiple_of(3),
            beard: short && chance(4).is_multiple_of(2),
            earrings: !short && style != HairStyle::Scarf && chance(5).is_multiple_of(2),
            broad: 0.95 + (chance(6) % 12) as f32 / 100.0,
        }
    }
}

//! What the hall is made of: reflected shares in linear light.

use bevy::math::Vec3;

pub(super) const LIMESTONE: Vec3 = Vec3::new(0.66, 0.585, 0.48);
pub(super) const LIMESTONE_DEEP: Vec3 = Vec3::new(0.50, 0.425, 0.335);
pub(super) const MARBLE: Vec3 = Vec3::new(0.80, 0.755, 0.68);
pub(super) const PLASTER: Vec3 = Vec3::new(0.74, 0.675, 0.575);
pub(super) const COFFER: Vec3 = Vec3::new(0.20, 0.265, 0.285);
pub(super) const NICHE: Vec3 = Vec3::new(0.30, 0.335, 0.325);
pub(super) const WALNUT: Vec3 = Vec3::new(1.0, 1.0, 1.0);
pub(super) const WALNUT_DEEP: Vec3 = Vec3::new(0.60, 0.55, 0.52);
pub(super) const GREEN_MARBLE: Vec3 = Vec3::new(0.075, 0.150, 0.125);
pub(super) const BRASS: Vec3 = Vec3::new(0.80, 0.53, 0.21);
pub(super) const BRONZE: Vec3 = Vec3::new(0.20, 0.125, 0.065);
pub(super) const VELVET: Vec3 = Vec3::new(0.060, 0.185, 0.195);
pub(super) const TEAL_LEATHER: Vec3 = Vec3::new(0.055, 0.165, 0.170);
pub(super) const TERRACOTTA: Vec3 = Vec3::new(0.46, 0.19, 0.105);
/// Shining things.
pub(super) const LAMP_GLASS: Vec3 = Vec3::new(4.6, 2.7, 1.15);

// First pass, at half size: the picture in Oklab, and how likely each place is skin.
//
// Skin of every tone has its hue between red and yellow, for blood and melanin colour it; what varies is lightness. So the
// hue decides, and colourfulness in proportion to lightness (saturation), which is alike for light and dark skin: hue
// angles of 20 to 80 degrees and the saturations of living skin as K. Xiao et al. measured them in CIELAB on 960 people
// of four ethnicities ("Characterising the variations in ethnic skin colours: a new calibrated data base for human
// skin", Skin Research and Technology 23, 2017), with margins for white balance.

@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(3) var picture_sampler: sampler;

fn skin_likelihood(lab: vec3<f32>) -> f32 {
    let chroma = length(lab.yz);
    let hue = degrees(atan2(lab.z, lab.y));
    let hued = smoothstep(5.0, 22.0, hue) * (1.0 - smoothstep(76.0, 92.0, hue));
    let saturation = chroma / max(lab.x, 0.05);
    let coloured = smoothstep(0.018, 0.045, saturation) * (1.0 - smoothstep(0.26, 0.36, saturation));
    let lit = smoothstep(0.16, 0.28, lab.x) * (1.0 - smoothstep(0.95, 0.99, lab.x));
    return hued * coloured * lit;
}

@fragment
fn fragment(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    // In the middle of four pixels: their mean.
    let uv = at.xy * 2.0 / beauty.size;
    let lab = to_oklab(textureSampleLevel(picture, picture_sampler, uv, 0.0).rgb);
    return vec4(lab, skin_likelihood(lab));
}

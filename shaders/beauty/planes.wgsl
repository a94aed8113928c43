// Into the passes and out of them: planes of I420 to coded sRGB before, and after them what they changed back onto the
// planes. A pixel that no pass changed keeps its code values, bit for bit: no rounding there and back.

struct Coding {
    // ITU-R BT.601 or BT.709: how much red, green and blue make up luma.
    luma: vec4<f32>,
    // 8 bits, limited (16..235, 16..240) or full range: what luma 0 is coded as, and what 1 of luma and of Cb or Cr spans.
    black: f32,
    luma_span: f32,
    chroma_span: f32,
    // Before this share of the width the picture is shown as it was, for comparing.
    split: f32,
    size: vec2<f32>,
}

@group(0) @binding(0) var<uniform> coding: Coding;
@group(0) @binding(1) var luma_plane: texture_2d<f32>;
@group(0) @binding(2) var cb_plane: texture_2d<f32>;
@group(0) @binding(3) var cr_plane: texture_2d<f32>;
@group(0) @binding(4) var before: texture_2d<f32>;
@group(0) @binding(5) var after: texture_2d<f32>;
@group(0) @binding(6) var linear_sampler: sampler;

// Cb and Cr of a colour difference: each is what blue or red exceeds luma by, scaled to -0.5..0.5.
fn chroma(rgb: vec3<f32>) -> vec2<f32> {
    let y = dot(rgb, coding.luma.rgb);
    return vec2(rgb.b - y, rgb.r - y) / (2.0 * (1.0 - vec2(coding.luma.b, coding.luma.r)));
}

@fragment
fn to_rgb(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    let uv = at.xy / coding.size;
    let y = (textureLoad(luma_plane, vec2<i32>(at.xy), 0).r - coding.black) / coding.luma_span;
    let cb = (textureSampleLevel(cb_plane, linear_sampler, uv, 0.0).r - 128.0 / 255.0) / coding.chroma_span;
    let cr = (textureSampleLevel(cr_plane, linear_sampler, uv, 0.0).r - 128.0 / 255.0) / coding.chroma_span;
    let red = y + 2.0 * (1.0 - coding.luma.r) * cr;
    let blue = y + 2.0 * (1.0 - coding.luma.b) * cb;
    let green = (y - coding.luma.r * red - coding.luma.b * blue) / coding.luma.g;
    return vec4(clamp(vec3(red, green, blue), vec3(0.0), vec3(1.0)), 1.0);
}

@fragment
fn to_luma(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    let here = vec2<i32>(at.xy);
    let change = textureLoad(after, here, 0).rgb - textureLoad(before, here, 0).rgb;
    let y = textureLoad(luma_plane, here, 0).r + dot(change, coding.luma.rgb) * coding.luma_span;
    return vec4(y, 0.0, 0.0, 1.0);
}

struct Chroma {
    @location(0) cb: vec4<f32>,
    @location(1) cr: vec4<f32>,
}

@fragment
fn to_chroma(@builtin(position) at: vec4<f32>) -> Chroma {
    // In the middle of four pixels: their mean.
    let uv = at.xy * 2.0 / coding.size;
    let change = textureSampleLevel(after, linear_sampler, uv, 0.0).rgb
        - textureSampleLevel(before, linear_sampler, uv, 0.0).rgb;
    let moved = chroma(change) * coding.chroma_span;
    let here = vec2<i32>(at.xy);
    let cb = textureLoad(cb_plane, here, 0).r + moved.x;
    let cr = textureLoad(cr_plane, here, 0).r + moved.y;
    return Chroma(vec4(cb, 0.0, 0.0, 1.0), vec4(cr, 0.0, 0.0, 1.0));
}

// For looking at: mirrored, as it was at the left of the split and as it is sent at the right. The target encodes sRGB.
@fragment
fn to_preview(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    let uv = at.xy / coding.size;
    let mirrored = vec2(1.0 - uv.x, uv.y);
    let given = textureSampleLevel(before, linear_sampler, mirrored, 0.0).rgb;
    let made = textureSampleLevel(after, linear_sampler, mirrored, 0.0).rgb;
    return vec4(to_linear(select(made, given, uv.x < coding.split)), 1.0);
}

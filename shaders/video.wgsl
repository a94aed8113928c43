// A video face: I420 planes to linear light, inside a rounded frame with a name plate and a speaking ring.
//
// The planes are sampled as R8; matrix and range come with the mesh tag (see `face.rs`), which also carries whatever
// else changes from frame to frame. Chroma is sited in the middle of its 2x2 luma block, as WebRTC's converters and
// browsers take it. Output is linear light, premultiplied: colour without coverage adds light (the glow).
//
// A software renderer goes through every branch that is in the shader, taken or not, and texture samples are what it
// pays most for: so kinds of faces (WALL, DOT) and what is rarely seen (SIGNS) are shader definitions, and each pixel
// takes no more samples than it shows.

#import bevy_pbr::{
    mesh_functions,
    forward_io::Vertex,
    view_transformations::position_world_to_clip,
}

struct FaceStyle {
    // w: width of the whole face in metres that the frame was measured for; 0 where it is always shown in that size
    accent: vec4<f32>,
    // margin, height of the name plate (of a person's face: whether there is one), corner radius, bezel width; in metres
    frame: vec4<f32>,
    // share of the label the name takes, share the initials take, glow of the picture, kind: 0 person, 1 wall, 2 dot
    text: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var luma_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var plane_sampler: sampler;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var cb_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var cr_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(4) var label: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(5) var<uniform> style: FaceStyle;

struct Face {
    @builtin(position) clip: vec4<f32>,
    // Position on the face in metres, from its centre, Y up.
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) size: vec2<f32>,
    @location(2) @interpolate(flat) tag: u32,
}

@vertex
fn vertex(in: Vertex) -> Face {
    let world_from_local = mesh_functions::get_world_from_local(in.instance_index);
    let world = mesh_functions::mesh_position_local_to_world(world_from_local, vec4(in.position, 1.0));
    var out: Face;
    out.clip = position_world_to_clip(world.xyz);
    out.size = vec2(length(world_from_local[0].xyz), length(world_from_local[1].xyz));
    out.at = in.position.xy * out.size;
    out.tag = mesh_functions::get_tag(in.instance_index);
    return out;
}

fn rounded_box(p: vec2<f32>, half: vec2<f32>, radius: f32) -> f32 {
    let q = abs(p) - half + radius;
    return length(max(q, vec2(0.0))) + min(max(q.x, q.y), 0.0) - radius;
}

fn segment(p: vec2<f32>, a: vec2<f32>, b: vec2<f32>) -> f32 {
    let along = b - a;
    let t = clamp(dot(p - a, along) / dot(along, along), 0.0, 1.0);
    return length(p - a - along * t);
}

// One sample. Where there are mipmaps it covers a footprint of any size; a slanted pixel is followed by the sampler as
// far as it may.
fn tap(plane: texture_2d<f32>, uv: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
#ifdef MIPMAPS
    return textureSampleGrad(plane, plane_sampler, uv, dx, dy).r;
#else
    return textureSampleLevel(plane, plane_sampler, uv, 0.0).r;
#endif
}

// Four samples spread over the pixel's footprint: what is fine, brightness and letters, is shown smaller than it is
// without shimmering. Colour, at half of the size, is content with one.
fn four_taps(plane: texture_2d<f32>, uv: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
    let a = dx * 0.125 + dy * 0.375;
    let b = dx * 0.375 - dy * 0.125;
    let gx = dx * 0.5;
    let gy = dy * 0.5;
    return 0.25 * (tap(plane, uv + a, gx, gy) + tap(plane, uv - a, gx, gy)
        + tap(plane, uv + b, gx, gy) + tap(plane, uv - b, gx, gy));
}

// ITU-R BT.601 and BT.709, 8 bits, limited (16..235, 16..240) or full range.
fn yuv_to_rgb(yuv: vec3<f32>, bt709: bool, full_range: bool) -> vec3<f32> {
    let y = select((yuv.x - 16.0 / 255.0) * (255.0 / 219.0), yuv.x, full_range);
    let c = (yuv.yz - 128.0 / 255.0) * select(255.0 / 224.0, 1.0, full_range);
    let bt601_rgb = vec3(y + 1.402 * c.y, y - 0.344136 * c.x - 0.714136 * c.y, y + 1.772 * c.x);
    let bt709_rgb = vec3(y + 1.5748 * c.y, y - 0.187324 * c.x - 0.468124 * c.y, y + 1.8556 * c.x);
    return clamp(select(bt601_rgb, bt709_rgb, bt709), vec3(0.0), vec3(1.0));
}

// IEC 61966-2-1: the display's curve, undone, so that the pipeline's own encoding restores the code values.
fn srgb_to_linear(c: vec3<f32>) -> vec3<f32> {
    return select(pow((c + 0.055) / 1.055, vec3(2.4)), c / 12.92, c <= vec3(0.04045));
}

// The picture at `uv` (0..1, Y down) on a surface of this aspect: whole, with its own aspect, nothing cut off.
// Alpha is 0 beside it.
fn picture(uv: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>, aspect: f32, tag: u32) -> vec4<f32> {
    let texels = vec2<f32>(textureDimensions(luma_plane));
    let ratio = (texels.x / texels.y) / aspect;
    let stretch = vec2(max(1.0 / ratio, 1.0), max(ratio, 1.0));
    var at = (uv - 0.5) * stretch + 0.5;
    let inside = all(at >= vec2(0.0)) && all(at <= vec2(1.0));
    var fx = dx * stretch;
    var fy = dy * stretch;
    if (tag & (1u << 25u)) != 0u {
        at.x = 1.0 - at.x;
        fx.x = -fx.x;
        fy.x = -fy.x;
    }
    // For odd sizes the chroma planes reach half a luma pixel further than the picture.
    let chroma = vec2<f32>(textureDimensions(cb_plane)) * 2.0;
    let shrink = texels / chroma;
    let y = four_taps(luma_plane, at, fx, fy);
    let cb = tap(cb_plane, at * shrink, fx * shrink, fy * shrink);
    let cr = tap(cr_plane, at * shrink, fx * shrink, fy * shrink);
    let rgb = yuv_to_rgb(vec3(y, cb, cr), (tag & (1u << 22u)) != 0u, (tag & (1u << 23u)) != 0u);
    return vec4(srgb_to_linear(rgb), select(0.0, 1.0, inside));
}

#ifdef WALL
// The wall at rest: dark glass with the hall's section drawn in thin brass. `p` in picture heights, centred.
fn emblem(p: vec2<f32>, pixel: f32) -> vec3<f32> {
    let fall = 1.0 - smoothstep(0.0, 1.0, length(p * vec2(0.8, 1.0) - vec2(0.0, 0.05)));
    let ground = style.accent.rgb * (0.16 + 0.75 * fall * fall);
    let q = p - vec2(0.0, -0.06);
    let dome = max(abs(length(q) - 0.26), -q.y);
    let inner = max(abs(length(q) - 0.19), -q.y);
    let oculus = abs(length(q - vec2(0.0, 0.26)) - 0.022);
    let base = segment(q, vec2(-0.30, -0.015), vec2(0.30, -0.015));
    let plinth = segment(q, vec2(-0.33, -0.20), vec2(0.33, -0.20));
    var columns = 1.0;
    for (var i = 0; i < 6; i++) {
        let x = (f32(i) - 2.5) * 0.1;
        columns = min(columns, segment(q, vec2(x, -0.03), vec2(x, -0.185)));
    }
    let line = min(min(min(dome, inner), min(base, plinth)), min(columns, oculus)) - 0.0045;
    return mix(ground, vec3(0.62, 0.42, 0.18), 0.55 * clamp(0.5 - line / max(pixel, 0.003), 0.0, 1.0));
}
#else
// Initials: 128 label pixels are as high as this share of the picture's height.
const INITIALS: f32 = 0.42;

// The card: a soft ground in the person's colour with their initials on a disc. `p` in picture heights, centred.
fn card(p: vec2<f32>, pixel: f32, ink: f32) -> vec3<f32> {
    let accent = style.accent.rgb;
    let fall = 1.0 - smoothstep(0.0, 1.1, length(p - vec2(0.0, 0.12)));
    var colour = mix(accent * 0.045 + vec3(0.006, 0.007, 0.009), accent * 0.20, fall);
    let d = length(p) - 0.29;
    let disc = clamp(0.5 - d / pixel, 0.0, 1.0);
    let lit = accent * (0.78 + 0.35 * clamp(p.y / 0.29, -1.0, 1.0));
    colour = mix(colour, lit, disc);
    return mix(colour, vec3(0.96, 0.94, 0.90), ink);
}

// What the label has at a place: the initials around the middle of the picture, or the name on its plate below. `at` in
// metres from the middle of that text, `metre` its label pixels in a metre.
fn lettering(at: vec2<f32>, metre: f32, pixel: f32, name: bool) -> f32 {
    let width = select(style.text.y, style.text.x, name) * 512.0;
    let middle = select(vec2(width * 0.5 + 4.0, 128.0), vec2(width * 0.5 + 8.0, 32.0), name);
    let rows = select(vec2(65.0, 191.0), vec2(1.0, 63.0), name);
    let texel = middle + at * vec2(metre, -metre);
    let inside = texel.x > 0.0 && texel.x < width + 10.0 && texel.y > rows.x && texel.y < rows.y;
    let foot = pixel * metre / vec2(512.0, 192.0);
    let ink = four_taps(label, texel / vec2(512.0, 192.0), vec2(foot.x, 0.0), vec2(0.0, foot.y));
    return select(0.0, ink, inside);
}
#endif

// A struck-out microphone, about 1 unit high; negative inside.
fn muted_sign(p: vec2<f32>) -> f32 {
    let body = segment(p, vec2(0.0, 0.08), vec2(0.0, 0.30)) - 0.13;
    let arc = max(abs(length(p - vec2(0.0, 0.08)) - 0.25) - 0.035, p.y - 0.08);
    let stem = segment(p, vec2(0.0, -0.17), vec2(0.0, -0.34)) - 0.035;
    let strike = segment(p, vec2(-0.34, 0.42), vec2(0.34, -0.36));
    return min(max(min(body, min(arc, stem)), 0.075 - strike), strike - 0.04);
}

#ifdef SIGNS
// A raised hand, about 1 unit high; negative inside.
fn hand_sign(p: vec2<f32>) -> f32 {
    var d = rounded_box(p - vec2(0.02, -0.17), vec2(0.20, 0.21), 0.12);
    for (var i = 0; i < 4; i++) {
        let x = -0.135 + 0.105 * f32(i);
        let top = 0.36 - 0.09 * abs(f32(i) - 1.4);
        d = min(d, segment(p, vec2(x, -0.1), vec2(x, top)) - 0.047);
    }
    return min(d, segment(p, vec2(-0.12, -0.26), vec2(-0.33, -0.02)) - 0.052);
}

// Four bars of rising height, about 1 unit wide; negative inside. Those from `first` on.
fn bars_sign(p: vec2<f32>, first: i32, last: i32) -> f32 {
    var d = 1.0;
    for (var i = first; i < last; i++) {
        let height = 0.09 + 0.075 * f32(i);
        d = min(d, rounded_box(p - vec2(-0.315 + 0.21 * f32(i), -0.34 + height), vec2(0.07, height), 0.03));
    }
    return d;
}

// A sign on a dark disc, in a corner of the picture: adds it to `colour`.
fn disc(colour: vec3<f32>, p: vec2<f32>, radius: f32, pixel: f32, ground: vec3<f32>) -> vec3<f32> {
    return mix(colour, ground, 0.88 * clamp(0.5 - (length(p) - radius) / pixel, 0.0, 1.0));
}
#endif

// A soft dot of light that marks a place: white in its middle, in the person's colour around it, and a dark rim that
// sets it off from white paper.
fn dot_of_light(p: vec2<f32>) -> vec4<f32> {
    let r = length(p);
    let core = 1.0 - smoothstep(0.20, 0.30, r);
    let body = 1.0 - smoothstep(0.46, 0.54, r);
    let rim = 1.0 - smoothstep(0.54, 1.0, r);
    let colour = mix(style.accent.rgb * 1.25, vec3(1.0), core) * body;
    return vec4(colour, max(body, 0.55 * rim * rim));
}

@fragment
fn fragment(in: Face) -> @location(0) vec4<f32> {
    // A face that is shown larger or smaller than it was measured for keeps its proportions.
    let scale = select(1.0, in.size.x / style.accent.w, style.accent.w > 0.0);
    let margin = style.frame.x * scale;
#ifdef WALL
    let plate = style.frame.y * scale;
#else
    // What the face is higher than its picture, which is 16 to 9.
    let beyond_picture = in.size.y - 2.0 * margin - (in.size.x - 2.0 * margin) * 0.5625;
    let plate = select(0.0, max(beyond_picture, 0.0), style.frame.y > 0.0);
#endif
    let bezel = style.frame.w * scale;
    let ring = f32(in.tag & 0xffu) / 255.0;
    let shown = f32((in.tag >> 8u) & 0xffu) / 255.0;
    let appeared = f32((in.tag >> 16u) & 0x3fu) / 63.0;
    let muted = (in.tag & (1u << 24u)) != 0u;
    // 0 fine, 1 poor, 2 the picture waits, 3 lost.
    let link = (in.tag >> 27u) & 3u;
#ifdef DOT
    return dot_of_light(in.at / (0.5 * in.size)) * appeared;
#else
    let half = vec2(in.size.x * 0.5 - margin, (in.size.y - plate) * 0.5 - margin);
    let centre = vec2(0.0, plate * 0.5);
    let p = in.at - centre;
    let dx = dpdx(in.at);
    let dy = dpdy(in.at);
    let pixel = max(0.7071 * length(vec2(length(dx), length(dy))), 1e-5);
    let d = rounded_box(p, half, style.frame.z * scale);

    // The name plate, and what is written there or in the picture.
    let height = plate * 0.76;
    let text_scale = height / 64.0;
    let name = style.text.x * 512.0 * text_scale;
    let sign = select(0.0, height * 0.72, muted);
    let q = in.at - vec2(0.0, centre.y - half.y - bezel - plate * 0.50);
#ifndef WALL
    let on_plate = p.y < -half.y;
    let metre = select(128.0 / (INITIALS * 2.0 * half.y), 1.0 / max(text_scale, 1e-6), on_plate);
    let ink = lettering(select(p, q + vec2(sign * 0.5, 0.0), on_plate), metre, pixel, on_plate);
#endif

    // Picture or card.
    let to_uv = vec2(0.5, -0.5) / half;
    var inner = vec3(0.0);
    if d < pixel {
        var ground = vec3(0.004);
        if shown < 1.0 {
#ifdef WALL
            ground = emblem(p / (2.0 * half.y), pixel / (2.0 * half.y));
#else
            ground = card(p / (2.0 * half.y), pixel / (2.0 * half.y), ink);
#endif
        }
        inner = ground;
        if shown > 0.0 {
            let image = picture(p * to_uv + 0.5, dx * to_uv, dy * to_uv, half.x / half.y, in.tag);
            inner = mix(ground, mix(vec3(0.004), image.rgb, image.a), shown);
        }
#ifdef SIGNS
        // What is old is grey and dark.
        if link >= 2u {
            inner = vec3(dot(inner, vec3(0.2126, 0.7152, 0.0722))) * 0.16;
        }
        let radius = min(max(half.y * 0.17, 8.0 * pixel), half.y * 0.4);
        let corner = half - vec2(radius * 1.35);
        if (in.tag & (1u << 26u)) != 0u {
            let q = p - vec2(-corner.x, corner.y);
            inner = disc(inner, q, radius, pixel, vec3(0.80, 0.50, 0.14));
            let hand = hand_sign(q / (radius * 1.45)) * radius * 1.45;
            inner = mix(inner, vec3(0.03, 0.02, 0.012), clamp(0.5 - hand / pixel, 0.0, 1.0));
        }
        if link > 0u {
            let q = p - corner;
            inner = disc(inner, q, radius, pixel, vec3(0.012, 0.011, 0.010));
            let at = q / (radius * 1.30);
            let lit = select(0, 1, link < 3u);
            let on = bars_sign(at, 0, lit) * radius * 1.30;
            let off = bars_sign(at, lit, 4) * radius * 1.30;
            inner = mix(inner, vec3(0.16, 0.15, 0.14), clamp(0.5 - off / pixel, 0.0, 1.0));
            inner = mix(inner, vec3(0.95, 0.42, 0.08), clamp(0.5 - on / pixel, 0.0, 1.0));
            let cross = min(segment(at, vec2(-0.3, 0.3), vec2(0.3, -0.3)), segment(at, vec2(0.3, 0.3), vec2(-0.3, -0.3)));
            let struck = (cross - 0.05) * radius * 1.30;
            inner = mix(inner, vec3(0.86, 0.16, 0.11), select(0.0, clamp(0.5 - struck / pixel, 0.0, 1.0), link == 3u));
        }
#endif
    }

    // Bezel: dark bronze with a lit edge; light gold while speaking.
    let edge = clamp(p.y / half.y * 0.5 + 0.5, 0.0, 1.0);
    let bronze = mix(vec3(0.020, 0.015, 0.011), vec3(0.115, 0.080, 0.048), edge * edge);
    let gold = vec3(1.0, 0.62, 0.20);
    let frame_colour = mix(bronze, gold * (0.5 + 0.9 * ring), smoothstep(0.02, 0.25, ring));

    let cover_inner = clamp(0.5 - d / pixel, 0.0, 1.0);
    let cover_frame = clamp(0.5 - (d - bezel) / pixel, 0.0, 1.0);
    var colour = mix(frame_colour * cover_frame, inner, cover_inner);
    var alpha = cover_frame;

    // Glow around the frame: the speaking ring, and the picture's own light.
    let beyond = max(d - bezel, 0.0) / max(margin - bezel, 1e-4);
    let falling = max(1.0 - beyond, 0.0);
    let halo = falling * falling * falling * (1.0 - cover_frame);
    colour += gold * (halo * ring * 0.55);
    colour += vec3(0.50, 0.60, 0.72) * (halo * style.text.z * shown * 0.16);

#ifndef WALL
    if plate > 0.0 {
        let half_plate = vec2((name + sign) * 0.5 + height * 0.42, height * 0.5);
        let dp = rounded_box(q, half_plate, height * 0.5);
        let cover = clamp(0.5 - dp / pixel, 0.0, 1.0);
        if cover > 0.0 {
            var tone = mix(vec3(0.010, 0.009, 0.009), vec3(0.022, 0.019, 0.017), q.y / height + 0.5);
            tone = mix(tone, vec3(0.90, 0.86, 0.78), select(0.0, min(ink * 1.25, 1.0), on_plate));
            if muted {
                let at = (q - vec2((name + sign) * 0.5 - sign * 0.36, 0.0)) / (height * 0.74);
                let ds = muted_sign(at) * height * 0.74;
                tone = mix(tone, vec3(0.86, 0.16, 0.11), clamp(0.5 - ds / pixel, 0.0, 1.0));
            }
            colour = mix(colour, tone, cover);
            alpha = max(alpha, cover);
        }
    }
#endif

    return vec4(colour, alpha) * appeared;
#endif
}

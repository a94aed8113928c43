// The hall: a texture times the light kept in the vertices, plus the glow of the great wall, mapped to the screen's
// range here, so that pictures of people (`video.wgsl`) stay as they were sent.
//
// Vertex colour: rgb = light leaving a white texture, linear, may exceed 1; a = how much of the wall's glow leaves it.
// Second texture coordinates: x = the sun's share of that light.

#import bevy_pbr::{
    mesh_functions,
    mesh_view_bindings::{view, lights},
    forward_io::Vertex,
    view_transformations::{position_world_to_clip, depth_ndc_to_view_z},
}
#ifdef SHADOWED
#import bevy_pbr::shadows::fetch_directional_shadow
#endif

struct HallUniform {
    glow: vec4<f32>,
    // What the shaft of light adds.
    beam: vec4<f32>,
    // The great wall's picture: height of its centre, its distance along Z, half its width and height.
    picture: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> hall: HallUniform;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var surface: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var surface_sampler: sampler;
#ifdef MIRRORS
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var mirror: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(4) var mirror_sampler: sampler;
#endif

struct Part {
    @builtin(position) clip: vec4<f32>,
    // Every value that travels costs a software renderer: each kind carries what it reads.
    @location(0) light: vec4<f32>,
#ifndef PLAIN
    @location(1) uv: vec2<f32>,
#endif
#ifdef PLACED
    @location(2) world: vec3<f32>,
#endif
#ifdef TURNED
    @location(3) normal: vec3<f32>,
#endif
#ifdef SHADOWED
    @location(4) sunlit: f32,
#endif
}

@vertex
fn vertex(in: Vertex) -> Part {
    let world_from_local = mesh_functions::get_world_from_local(in.instance_index);
    let world = mesh_functions::mesh_position_local_to_world(world_from_local, vec4(in.position, 1.0));
    var out: Part;
    out.clip = position_world_to_clip(world.xyz);
    out.light = in.color;
#ifndef PLAIN
    out.uv = in.uv;
#endif
#ifdef PLACED
    out.world = world.xyz;
#endif
#ifdef TURNED
    out.normal = in.normal;
#endif
#ifdef SHADOWED
    out.sunlit = in.uv_b.x;
#endif
    return out;
}

// A filmic curve: a soft toe, a long shoulder, 1 reached slowly; colours keep their hue and pale towards white.
fn film(c: vec3<f32>) -> vec3<f32> {
    let x = c * 1.05;
    return clamp((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), vec3(0.0), vec3(1.0));
}

#ifdef SHADOWED
// What is left of the light where something stands between here and the sun.
fn in_shadow(in: Part) -> f32 {
    if in.sunlit < 0.01 || lights.n_directional_lights == 0u {
        return 1.0;
    }
    let view_z = depth_ndc_to_view_z(in.clip.z);
    let sun = fetch_directional_shadow(0u, vec4(in.world, 1.0), normalize(in.normal), view_z, in.clip.xy);
    return 1.0 - in.sunlit * (1.0 - sun);
}
#endif

#ifdef MIRRORS
// The mirror image, as a polish that is not quite even shows it: smeared a little, most of all up and down.
fn mirrored(clip: vec2<f32>) -> vec3<f32> {
    let at = (clip - view.viewport.xy) / view.viewport.zw;
    let seen = vec2(at.x, 1.0 - at.y);
    var sum = vec3(0.0);
    for (var i = -3; i <= 3; i++) {
        let away = vec2(f32((i * 5) % 7) * 0.0006, f32(i) * 0.0028);
        sum += textureSampleLevel(mirror, mirror_sampler, seen + away, 0.0).rgb;
    }
    return sum / 7.0;
}
#endif

@fragment
fn fragment(in: Part) -> @location(0) vec4<f32> {
#ifdef SHADOW
    let near = max(1.0 - in.uv.x, 0.0);
    return vec4(0.0, 0.0, 0.0, 0.62 * near * near * (3.0 - 2.0 * near));
#else
#ifdef BEAM
    let to_eye = normalize(view.world_position - in.world);
    let facing = abs(dot(normalize(in.normal), normalize(vec3(to_eye.x, 0.0, to_eye.z))));
    let fade = smoothstep(0.0, 0.25, in.uv.y) * (1.0 - 0.75 * in.uv.y);
    return vec4(hall.beam.rgb * (facing * facing * fade), 0.0);
#else
    var colour = in.light.rgb;
#ifdef SHADOWED
    colour *= in_shadow(in);
#endif
    colour += hall.glow.rgb * in.light.a;
#ifndef PLAIN
    colour *= textureSample(surface, surface_sampler, in.uv).rgb;
#endif
#ifdef POLISHED
    // A clear coat: at grazing angles it mirrors the warm wall, the lamps' glow and the picture on the great wall.
    let to_point = normalize(in.world - view.world_position);
    let cosine = clamp(-to_point.y, 0.0, 1.0);
    let grazing = 1.0 - cosine;
    let squared = grazing * grazing;
    let fresnel = 0.035 + 0.65 * squared * squared * grazing;
#ifdef MIRRORS
    return vec4(mix(film(colour), mirrored(in.clip.xy), fresnel), 1.0);
#else
    let up = reflect(to_point, vec3(0.0, 1.0, 0.0));
    // Where the mirrored ray meets the plane of the picture.
    let reach = (hall.picture.y - in.world.z) / min(up.z, -1e-3);
    let hit = in.world + up * reach;
    let from_picture = abs(hit.xy - vec2(0.0, hall.picture.x)) - hall.picture.zw;
    let beside = max(from_picture, vec2(0.0));
    let near = 1.0 / (1.0 + 0.9 * dot(beside, beside));
    let picture = select(0.0, near * near, up.z < -0.05);
    let room = mix(vec3(0.13, 0.085, 0.050), vec3(0.060, 0.062, 0.064), clamp(up.y * 1.6, 0.0, 1.0));
    colour += fresnel * (room + hall.glow.rgb * picture * 0.55);
#endif
#endif
    return vec4(film(colour), 1.0);
#endif
#endif
}

// Box means along a row or a column, of two pictures at once, at half size. What the means are for is in
// `smooth_coefficients` (the guided filter: K. He, J. Sun, X. Tang, "Guided Image Filtering", ECCV 2010; at half size: K. He,
// J. Sun, "Fast Guided Filter", 2015).

@group(0) @binding(1) var first: texture_2d<f32>;
@group(0) @binding(2) var second: texture_2d<f32>;

struct Pair {
    @location(0) first: vec4<f32>,
    @location(1) second: vec4<f32>,
}

fn texel(at: vec2<i32>) -> vec2<i32> {
    return clamp(at, vec2(0), vec2<i32>(beauty.half) - 1);
}

fn mean(at: vec4<f32>, along: vec2<i32>) -> Pair {
    var sum = Pair(vec4(0.0), vec4(0.0));
    for (var i = -beauty.radius; i <= beauty.radius; i++) {
        let here = texel(vec2<i32>(at.xy) + along * i);
        sum.first += textureLoad(first, here, 0);
        sum.second += textureLoad(second, here, 0);
    }
    let count = f32(2 * beauty.radius + 1);
    return Pair(sum.first / count, sum.second / count);
}

// Rows of the Oklab picture: its means, and those of lightness times itself, both colours and the likelihood of skin.
@fragment
fn moments(@builtin(position) at: vec4<f32>) -> Pair {
    var sum = Pair(vec4(0.0), vec4(0.0));
    for (var i = -beauty.radius; i <= beauty.radius; i++) {
        let lab = textureLoad(first, texel(vec2<i32>(at.xy) + vec2(i, 0)), 0);
        sum.first += lab;
        sum.second += lab.x * lab;
    }
    let count = f32(2 * beauty.radius + 1);
    return Pair(sum.first / count, sum.second / count);
}

// Columns of those, and from them the filter: around here, lightness, colours and skin are this much of the lightness plus
// that. Where nothing but pores varies the share is near 0, at an edge near 1: pores go, edges stay; and skin ends where
// an eye begins.
@fragment
fn smooth_coefficients(@builtin(position) at: vec4<f32>) -> Pair {
    let means = mean(at, vec2(0, 1));
    let lab = means.first;
    let spread = means.second - lab.x * lab;
    // A dark picture's noise must not count as edges.
    let softness = max(mix(0.0002, 0.0022, beauty.strength.x), 0.0012 * beauty.lift);
    let share = spread / (max(spread.x, 0.0) + softness);
    return Pair(share, lab - share * lab.x);
}

@fragment
fn rows(@builtin(position) at: vec4<f32>) -> Pair {
    return mean(at, vec2(1, 0));
}

@fragment
fn columns(@builtin(position) at: vec4<f32>) -> Pair {
    return mean(at, vec2(0, 1));
}

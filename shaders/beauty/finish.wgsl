// Last pass, at full size: brighten what is dark, smooth, whiten and warm the skin, sharpen what is left, and back to coded
// sRGB.

// What is to be done at all; software renderers go through every branch that is there.
override retouches: bool = true;
override lifts: bool = false;
override sharpens: bool = true;

@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var share: texture_2d<f32>;
@group(0) @binding(4) var rest: texture_2d<f32>;
@group(0) @binding(3) var linear_sampler: sampler;

// Of the finest detail so much stays at full strength: skin without any is plastic.
const DETAIL_KEPT: f32 = 0.14;
// Lightness that skin gains at full strength, the same for dark and light skin.
const WHITEN: f32 = 0.065;
// Of what is left up to white a pixel may use so much, in lightness: nothing is blown out.
const HEADROOM: f32 = 0.5;
// Redness that skin gains at full strength where blood shows.
const ROSY: f32 = 0.024;
const SHARPEN: f32 = 1.5;
// Differences below are noise, those above are detail; in coded values.
const NOISE: f32 = 0.008;
// So much brighter or darker than its surroundings may a sharpened pixel become: no halo.
const OVERSHOOT: f32 = 0.03;
// Lightness L becomes L (1 + g) / (1 + g L): black and white stay, the dark between them opens.
const LIFT: f32 = 2.2;
// So much of the colours' noise goes with that.
const LIFT_QUIETS: f32 = 0.7;

// The lesser of two, without a corner where they are alike.
fn lesser(a: f32, b: f32) -> f32 {
    let larger = max(max(a, b), 1e-6);
    return a * b / larger * pow(1.0 + pow(min(a, b) / larger, 8.0), -0.125);
}

fn brightness(at: vec2<i32>) -> f32 {
    let inside = clamp(at, vec2(0), vec2<i32>(beauty.size) - 1);
    return dot(textureLoad(picture, inside, 0).rgb, vec3(0.2126, 0.7152, 0.0722));
}

// What is added to a pixel so that edges stand out.
fn sharper(at: vec2<i32>) -> f32 {
    let here = brightness(at);
    var blurred = here * 0.25;
    var low = here;
    var high = here;
    for (var y = -1; y <= 1; y++) {
        for (var x = -1; x <= 1; x++) {
            if x != 0 || y != 0 {
                let beside = brightness(at + vec2(x, y));
                blurred += beside * select(0.125, 0.0625, x != 0 && y != 0);
                low = min(low, beside);
                high = max(high, beside);
            }
        }
    }
    let detail = here - blurred;
    let told = sign(detail) * max(abs(detail) - NOISE, 0.0);
    return clamp(here + SHARPEN * beauty.strength.w * told, low - OVERSHOOT, high + OVERSHOOT) - here;
}

// Spreads what is less than one step of eight bits, so that a gentle change has no bands: Jorge Jimenez' interleaved
// gradient noise ("Next Generation Post Processing in Call of Duty", 2014), the same in each frame.
fn dither(at: vec2<f32>) -> f32 {
    return (fract(52.9829189 * fract(dot(at, vec2(0.06711056, 0.00583715)))) - 0.5) / 255.0;
}

@fragment
fn fragment(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    let here = vec2<i32>(at.xy);
    let coded = textureLoad(picture, here, 0);
    var colour = coded.rgb;
    var crisp = 1.0;
    var skin = 0.0;
    if retouches {
        let uv = at.xy / beauty.size;
        let filter_share = textureSampleLevel(share, linear_sampler, uv, 0.0);
        let filter_rest = textureSampleLevel(rest, linear_sampler, uv, 0.0);
        var lab = to_oklab(coded.rgb);
        skin = clamp(filter_share.w * lab.x + filter_rest.w, 0.0, 1.0);
        var even = filter_share.xyz * lab.x + filter_rest.xyz;
        var coded_max = max(coded.r, max(coded.g, coded.b));
        if lifts {
            // What lies below the detail is lifted, the detail is not: it is half noise.
            let gain = LIFT * beauty.lift;
            let base = clamp(even.x, 0.0, 1.0);
            let raised = base * (1.0 + gain) / (1.0 + gain * base);
            let ratio = raised / max(base, 0.05);
            let hue = mix(lab.yz, even.yz, LIFT_QUIETS * beauty.lift) * ratio;
            lab = vec3(max(lab.x + raised - base, 0.0), hue);
            even = vec3(raised, even.yz * ratio);
            let lifted = from_oklab(lab);
            coded_max = max(lifted.r, max(lifted.g, lifted.b));
        }
        // Smooth.
        let smoothing = beauty.strength.x * skin * (1.0 - DETAIL_KEPT);
        lab = mix(lab, even, smoothing);
        crisp = 1.0 - 0.7 * beauty.strength.x * skin;
        // Whiten: colour grows with lightness, or it would be grey.
        let wished = WHITEN * beauty.strength.y * skin;
        let above = (1.0 - coded_max) * HEADROOM;
        let lighter = lab.x + lesser(wished, above);
        lab = vec3(lighter, lab.yz * (lighter / max(lab.x, 0.05)));
        // Warm, most where the even skin is red already.
        let redness = even.y / max(length(even.yz), 0.01);
        let blood = 0.3 + 0.7 * smoothstep(0.5, 0.9, redness);
        // Less where red has nowhere to go.
        let room = clamp((1.0 - coded.r) * 8.0, 0.0, 1.0);
        lab.y += ROSY * beauty.strength.z * skin * blood * room;
        if skin > 0.004 || lifts {
            colour = from_oklab(lab) + dither(at.xy);
        }
    }
    if sharpens {
        colour += sharper(here) * crisp;
    }
    return vec4(colour, coded.a);
}

// What the beauty passes share: how strong each is, and Oklab (Björn Ottosson, "A perceptual color space for image
// processing", 2020), in which lightness, redness and yellowness are apart as the eye has them apart.

struct Beauty {
    // smooth, whiten, rosy, sharpen; each 0..=1
    strength: vec4<f32>,
    // Size of the picture, and of the half-size pictures that the skin is worked out in.
    size: vec2<f32>,
    half: vec2<f32>,
    // Radius of the box filters, in half-size pixels.
    radius: i32,
    // How much a dark picture is brightened, 0..=1
    lift: f32,
}

@group(0) @binding(0) var<uniform> beauty: Beauty;

fn to_coded(c: vec3<f32>) -> vec3<f32> {
    let bright = 1.055 * pow(max(c, vec3(0.0)), vec3(1.0 / 2.4)) - 0.055;
    return select(bright, c * 12.92, c <= vec3(0.0031308));
}

// From sRGB as it is coded.
fn to_oklab(coded: vec3<f32>) -> vec3<f32> {
    let c = to_linear(coded);
    let lms = vec3(
        dot(c, vec3(0.4122214708, 0.5363325363, 0.0514459929)),
        dot(c, vec3(0.2119034982, 0.6806995451, 0.1073969566)),
        dot(c, vec3(0.0883024619, 0.2817188376, 0.6299787005)),
    );
    let root = pow(max(lms, vec3(0.0)), vec3(1.0 / 3.0));
    return vec3(
        dot(root, vec3(0.2104542553, 0.7936177850, -0.0040720468)),
        dot(root, vec3(1.9779984951, -2.4285922050, 0.4505937099)),
        dot(root, vec3(0.0259040371, 0.7827717662, -0.8086757660)),
    );
}

fn from_oklab(lab: vec3<f32>) -> vec3<f32> {
    let root = vec3(
        dot(lab, vec3(1.0, 0.3963377774, 0.2158037573)),
        dot(lab, vec3(1.0, -0.1055613458, -0.0638541728)),
        dot(lab, vec3(1.0, -0.0894841775, -1.2914855480)),
    );
    let lms = root * root * root;
    let c = vec3(
        dot(lms, vec3(4.0767416621, -3.3077115913, 0.2309699292)),
        dot(lms, vec3(-1.2684380046, 2.6097574011, -0.3413193965)),
        dot(lms, vec3(-0.0041960863, -0.7034186147, 1.7076147010)),
    );
    return to_coded(clamp(c, vec3(0.0), vec3(1.0)));
}

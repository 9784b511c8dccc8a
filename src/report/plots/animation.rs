//! The clouds of Regime II as an animated GIF: one frame a slow time, one palette for all frames.

use std::borrow::Cow;

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use rayon::prelude::*;

use super::FigureError;
use super::clouds::{Grain, Part, Scene, time_title};
use super::export::Parsed;
use super::layout::Layers;
use super::spread;
use super::text::Label;
use crate::report::result::ScenarioResult;

/// Width in pixels.
const WIDTH: u32 = 640;
/// Height of the frame in points.
const HEIGHT: f64 = 205.0;
/// Frames at most.
const MOST_FRAMES: usize = 120;
/// Points of one process; fewer, in turn, where the file would be larger than [`LARGEST`] bytes.
const POINTS: [usize; 4] = [400, 200, 100, 50];
const LARGEST: usize = 2_000_000;
/// Hundredths of a second that the first, an inner and the last frame stay.
const DELAYS: [u16; 3] = [60, 9, 160];
/// Colours besides the transparent one.
const COLORS: usize = 255;
/// Colours that are kept as they are: paper, ink and whatever covers most.
const KEPT: usize = 32;

/// A picture in 16-bit colours: 5 bits red, 6 green, 5 blue.
struct Picture {
    width: u16,
    height: u16,
    pixels: Vec<u16>,
}

/// The animation, if there are clouds over the plane. The same result gives the same bytes.
///
/// # Errors
/// [`FigureError::Draw`] when a frame cannot be drawn or encoded.
pub fn gif(result: &ScenarioResult) -> Result<Option<Vec<u8>>, FigureError> {
    let Some(scene) = Scene::new(result) else {
        return Ok(None);
    };
    let times = scene.times();
    let times: Vec<usize> = spread(times.len(), MOST_FRAMES)
        .into_iter()
        .map(|k| times[k])
        .collect();
    let mut file = Vec::new();
    for most in POINTS {
        file = encoded(&pictures(&scene, &times, most)?)?;
        if file.len() <= LARGEST {
            break;
        }
    }
    Ok(Some(file).filter(|f| !f.is_empty()))
}

/// One picture a time.
fn pictures(scene: &Scene, times: &[usize], most: usize) -> Result<Vec<Picture>, FigureError> {
    let grain = Grain {
        radius: 1.25,
        alpha: 0.5,
        most,
    };
    let decimals = decimals(times.iter().map(|&t| scene.time(t)));
    let sheet = |time: usize, part: Part, layers: Layers| {
        let shown = Label::new(format!("{:.decimals$}", scene.time(time)));
        let panel = scene.panel(time, time_title(&shown), grain, part);
        let figure = scene.around(vec![panel], 1, HEIGHT).draw_layers(layers)?;
        let empty = || FigureError::Draw("a frame is empty".to_owned());
        Parsed::new(&figure.ok_or_else(empty)?.svg)
    };
    let Some(&first) = times.first() else {
        return Ok(Vec::new());
    };
    // What does not move is drawn once.
    let ground = sheet(first, Part::Still, Layers::Ground)?.raster(WIDTH)?;
    let (width, height) = ground.size();
    let side = |length: u32| {
        u16::try_from(length).map_err(|_| FigureError::Draw("a frame is too large".to_owned()))
    };
    let (width, height) = (side(width)?, side(height)?);
    let picture = |&time: &usize| {
        let image = sheet(time, Part::Moving, Layers::Above)?.over(&ground);
        Ok(Picture {
            width,
            height,
            pixels: image.pixels().map(code).collect(),
        })
    };
    times.par_iter().map(picture).collect()
}

/// Decimals that tell neighbouring times apart.
fn decimals(times: impl Iterator<Item = f64>) -> usize {
    let times: Vec<f64> = times.collect();
    let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
    let least = steps.filter(|s| *s > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        (-least.log10()).ceil().clamp(1.0, 4.0) as usize
    } else {
        2
    }
}

fn code([r, g, b]: [u8; 3]) -> u16 {
    u16::from(r >> 3) << 11 | u16::from(g >> 2) << 5 | u16::from(b >> 3)
}

/// Red, green and blue of a 16-bit colour; white stays white.
fn channels(code: u16) -> [u8; 3] {
    let scaled = |value: u16, most: u16| ((value * 255 + most / 2) / most) as u8;
    [
        scaled(code >> 11, 31),
        scaled(code >> 5 & 63, 63),
        scaled(code & 31, 31),
    ]
}

fn encoded(pictures: &[Picture]) -> Result<Vec<u8>, FigureError> {
    let Some(first) = pictures.first() else {
        return Ok(Vec::new());
    };
    let fail = |error: gif::EncodingError| FigureError::Draw(error.to_string());
    let mut counts = vec![0u32; 1 << 16];
    for &pixel in pictures.iter().flat_map(|p| &p.pixels) {
        counts[usize::from(pixel)] += 1;
    }
    let palette = palette(&counts);
    let nearest: Vec<u8> = (0..=u16::MAX)
        .map(|code| match counts[usize::from(code)] {
            0 => 0,
            _ => closest(&palette, channels(code)),
        })
        .collect();
    let frames: Vec<Frame> = (0..pictures.len())
        .into_par_iter()
        .map(|k| {
            let before = k.checked_sub(1).and_then(|k| pictures.get(k));
            let mut frame = frame(&pictures[k], before, &nearest);
            frame.delay = match k {
                _ if k + 1 == pictures.len() => DELAYS[2],
                0 => DELAYS[0],
                _ => DELAYS[1],
            };
            frame.make_lzw_pre_encoded();
            frame
        })
        .collect();
    let mut file = Vec::new();
    let colors: Vec<u8> = palette.iter().flatten().copied().collect();
    {
        let mut encoder =
            Encoder::new(&mut file, first.width, first.height, &colors).map_err(fail)?;
        encoder.set_repeat(Repeat::Infinite).map_err(fail)?;
        for frame in &frames {
            encoder.write_lzw_pre_encoded_frame(frame).map_err(fail)?;
        }
    }
    Ok(file)
}

/// The part of a picture that differs from the one before; what is the same inside it is transparent.
fn frame(picture: &Picture, before: Option<&Picture>, nearest: &[u8]) -> Frame<'static> {
    let index = |code: u16| nearest[usize::from(code)];
    let width = usize::from(picture.width).max(1);
    let Some(before) = before.filter(|b| b.pixels.len() == picture.pixels.len()) else {
        return Frame {
            width: picture.width,
            height: picture.height,
            buffer: picture.pixels.iter().map(|&p| index(p)).collect(),
            dispose: DisposalMethod::Keep,
            ..Frame::default()
        };
    };
    let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
    let pairs = || picture.pixels.iter().zip(&before.pixels);
    for (place, _) in pairs().enumerate().filter(|(_, (a, b))| a != b) {
        let (x, y) = (place % width, place / width);
        (left, right) = (left.min(x), right.max(x));
        (top, bottom) = (top.min(y), bottom.max(y));
    }
    if left > right {
        (left, right, top, bottom) = (0, 0, 0, 0); // nothing moved: one transparent pixel that lasts
    }
    let transparent = COLORS as u8;
    let rows = picture
        .pixels
        .chunks(width)
        .zip(before.pixels.chunks(width));
    let buffer: Vec<u8> = rows
        .skip(top)
        .take(bottom - top + 1)
        .flat_map(|(now, then)| now[left..=right].iter().zip(&then[left..=right]))
        .map(|(&now, &then)| match index(now) {
            same if same == index(then) => transparent,
            new => new,
        })
        .collect();
    Frame {
        left: left as u16,
        top: top as u16,
        width: (right - left + 1) as u16,
        height: (bottom - top + 1) as u16,
        transparent: Some(transparent),
        buffer: Cow::Owned(buffer),
        dispose: DisposalMethod::Keep,
        ..Frame::default()
    }
}

/// At most [`COLORS`] colours: the most frequent as they are, the others by median cut.
fn palette(counts: &[u32]) -> Vec<[u8; 3]> {
    let mut used: Vec<(u16, u32)> = (0..=u16::MAX)
        .zip(counts.iter().copied())
        .filter(|(_, count)| *count > 0)
        .collect();
    used.sort_by_key(|&(code, count)| (std::cmp::Reverse(count), code));
    let rest = used.split_off(used.len().min(KEPT));
    let mut palette: Vec<[u8; 3]> = used.iter().map(|&(code, _)| channels(code)).collect();
    // Square roots: a colour that is rare is still seen.
    let rest = rest.into_iter();
    let rest: Vec<Shade> = rest
        .map(|(code, count)| (channels(code), f64::from(count).sqrt()))
        .collect();
    let mut boxes: Vec<Vec<Shade>> = vec![rest];
    while boxes.len() < COLORS - KEPT {
        let spread = |shades: &Vec<Shade>| {
            let weight: f64 = shades.iter().map(|s| s.1).sum();
            weight * f64::from(widest(shades).1).powi(2)
        };
        let scores = boxes.iter().map(spread).enumerate();
        let Some((at, score)) = scores.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            break;
        };
        if score <= 0.0 {
            break;
        }
        let shades = std::mem::take(&mut boxes[at]);
        let (low, high) = halves(shades);
        boxes[at] = low;
        boxes.push(high);
    }
    palette.extend(boxes.iter().filter(|b| !b.is_empty()).map(|b| mean(b)));
    palette
}

/// A colour and its weight.
type Shade = ([u8; 3], f64);

/// The channel in which the colours differ most, and by how much.
fn widest(shades: &[Shade]) -> (usize, u8) {
    let range = |channel: usize| {
        let values = || shades.iter().map(|s| s.0[channel]);
        values().max().unwrap_or(0) - values().min().unwrap_or(0)
    };
    (0..3)
        .map(|channel| (channel, range(channel)))
        .max_by_key(|(_, range)| *range)
        .unwrap_or((0, 0))
}

/// Cuts at the weighted median of the widest channel; neither half is empty.
fn halves(mut shades: Vec<Shade>) -> (Vec<Shade>, Vec<Shade>) {
    let (channel, _) = widest(&shades);
    shades.sort_by_key(|s| (s.0[channel], s.0));
    let half = 0.5 * shades.iter().map(|s| s.1).sum::<f64>();
    let mut seen = 0.0;
    let cut = shades.iter().position(|s| {
        seen += s.1;
        seen > half
    });
    let cut = cut.unwrap_or(0).clamp(1, shades.len().max(2) - 1);
    let high = shades.split_off(cut.min(shades.len()));
    (shades, high)
}

fn mean(shades: &[Shade]) -> [u8; 3] {
    let weight: f64 = shades.iter().map(|s| s.1).sum();
    [0, 1, 2].map(|channel| {
        let sum: f64 = shades.iter().map(|s| f64::from(s.0[channel]) * s.1).sum();
        (sum / weight).round() as u8
    })
}

fn closest(palette: &[[u8; 3]], color: [u8; 3]) -> u8 {
    let distance = |other: &[u8; 3]| -> i32 {
        let channels = other.iter().zip(color);
        channels
            .map(|(&a, b)| (i32::from(a) - i32::from(b)).pow(2))
            .sum()
    };
    let nearest = palette.iter().take(COLORS).enumerate();
    nearest
        .min_by_key(|(_, other)| distance(other))
        .map_or(0, |(index, _)| index as u8)
}

/// What a viewer shows: every frame over those before it, as RGBA.
#[cfg(test)]
pub(super) fn played(file: &[u8]) -> Vec<Vec<[u8; 4]>> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(file).expect("a GIF");
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let mut canvas = vec![[0u8; 4]; width * height];
    let mut shown = Vec::new();
    while let Some(frame) = decoder.read_next_frame().expect("a frame") {
        let rows = frame.buffer.chunks(4 * usize::from(frame.width));
        for (y, row) in rows.enumerate() {
            for (x, pixel) in row.chunks(4).enumerate() {
                let at = (usize::from(frame.top) + y) * width + usize::from(frame.left) + x;
                if pixel[3] == 255 {
                    canvas[at].copy_from_slice(pixel);
                }
            }
        }
        shown.push(canvas.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::slow_fixture::hyperbola;

    #[test]
    fn white_and_black_survive_sixteen_bits() {
        for color in [[255; 3], [0; 3]] {
            assert_eq!(channels(code(color)), color);
        }
    }

    #[test]
    fn a_palette_holds_frequent_colours_and_comes_near_the_others() {
        let mut counts = vec![0; 1 << 16];
        for code in (0..=u16::MAX).step_by(37) {
            counts[usize::from(code)] = 1 + u32::from(code % 5);
        }
        counts[0xffff] = 1_000_000;
        let palette = palette(&counts);
        assert!(palette.len() <= COLORS && palette[0] == [255; 3]);
        for code in (0..=u16::MAX).step_by(37) {
            let color = channels(code);
            let near = palette[usize::from(closest(&palette, color))];
            let far = (0..3).map(|k| near[k].abs_diff(color[k])).max();
            assert!(far < Some(50), "{color:?} {near:?}");
        }
    }

    #[test]
    fn frames_put_together_are_the_pictures() {
        let result = hyperbola();
        let file = gif(&result).expect("drawn").expect("clouds");
        assert!(file.len() < LARGEST, "{}", file.len());
        let frames = played(&file);
        let times = result.clouds.as_ref().map_or(0, |c| c.times.len());
        assert_eq!(frames.len(), times);
        let canvas = frames.last().expect("frames");
        assert_eq!(canvas.len() % WIDTH as usize, 0);
        let scene = Scene::new(&result).expect("a scene");
        let last = &pictures(&scene, &[times - 1], POINTS[0]).expect("a picture")[0];
        let far = last.pixels.iter().zip(canvas).filter(|(code, shown)| {
            let color = channels(**code);
            (0..3).any(|k| color[k].abs_diff(shown[k]) > 40)
        });
        assert!(far.count() < canvas.len() / 1000);
        assert_eq!(canvas[0], [255; 4]);
    }
}

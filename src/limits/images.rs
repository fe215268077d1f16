//! What an image costs in tokens, by the formula its provider publishes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Width and height in pixels.
type Size = (u64, u64);

/// Bytes of an image that tell its size: headers come first, though EXIF data may stand before it.
const HEAD: usize = 96 * 1024;

/// The size of an image from its base64, read off its first bytes; `None` where that does not tell.
pub fn size_of(base64: &str) -> Option<Size> {
    let end = base64.len().min(HEAD / 3 * 4) / 4 * 4;
    let head = STANDARD.decode(base64.get(..end)?).ok()?;
    let size = imagesize::blob_size(&head).ok()?;
    Some((size.width as u64, size.height as u64))
}

/// The tokens of an image of this size at this model; of one whose size is not known (it is at a URL),
/// the most that the model charges for one.
pub fn tokens(model: &str, low_detail: bool, size: Option<Size>) -> u64 {
    let name = model.rsplit('/').next().unwrap_or(model);
    if name.starts_with("claude") {
        anthropic(size)
    } else if name.starts_with("gemini") {
        gemini(name, size)
    } else {
        openai(name, low_detail, size)
    }
}

/// <https://docs.claude.com/en/docs/build-with-claude/vision>: width × height / 750, after scaling
/// down to 1568 pixels on the longer side, and about 1600 tokens at the most.
fn anthropic(size: Option<Size>) -> u64 {
    const MOST: u64 = 1600;
    let Some(size) = size else { return MOST };
    let (width, height) = fit(size, 1568);
    (width * height).div_ceil(750).min(MOST)
}

/// <https://ai.google.dev/gemini-api/docs/tokens>: 258 up to 384 pixels on both sides, else 258 for each
/// tile of 768 pixels; from Gemini 3 on 1120 an image at the default resolution.
fn gemini(name: &str, size: Option<Size>) -> u64 {
    const TILE: u64 = 258;
    const FLAT: u64 = 1120;
    let generation = name.trim_start_matches("gemini-").chars().next().and_then(|digit| digit.to_digit(10));
    if generation.is_some_and(|generation| generation >= 3) {
        return FLAT;
    }
    match size {
        Some((width, height)) if width <= 384 && height <= 384 => TILE,
        Some((width, height)) => TILE * width.div_ceil(768) * height.div_ceil(768),
        None => 4 * TILE,
    }
}

/// <https://platform.openai.com/docs/guides/images-vision>: tiles of 512 pixels, after scaling into a
/// square of 2048 and then to 768 on the shorter side; or patches of 32 pixels for the small models.
fn openai(name: &str, low_detail: bool, size: Option<Size>) -> u64 {
    /// Models by prefix, longer ones first: a factor in hundredths for each patch.
    const PATCHES: [(&str, u64); 5] = [
        ("gpt-5-mini", 162),
        ("gpt-5-nano", 246),
        ("gpt-4.1-mini", 162),
        ("gpt-4.1-nano", 246),
        ("o4-mini", 172),
    ];
    /// Tokens for the image and for each tile of it.
    const TILES: [(&str, u64, u64); 5] = [
        ("gpt-4o-mini", 2833, 5667),
        ("gpt-5", 70, 140),
        ("gpt-6", 70, 140),
        ("o1", 75, 150),
        ("o3", 75, 150),
    ];
    const MOST_PATCHES: u64 = 1536;
    const MOST_TILES: u64 = 8;
    if let Some((_, factor)) = PATCHES.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        let patches = size.map_or(MOST_PATCHES, |(width, height)| width.div_ceil(32) * height.div_ceil(32));
        return (patches.min(MOST_PATCHES) * factor).div_ceil(100);
    }
    let (base, tile) = TILES
        .iter()
        .find(|(prefix, ..)| name.starts_with(prefix))
        .map_or((85, 170), |(_, base, tile)| (*base, *tile));
    if low_detail {
        return base;
    }
    let tiles = size.map_or(MOST_TILES, |size| {
        let (width, height) = fit(size, 2048);
        let shorter = width.min(height).max(1);
        let scaled = |side: u64| if shorter > 768 { side * 768 / shorter } else { side };
        (scaled(width).div_ceil(512) * scaled(height).div_ceil(512)).min(MOST_TILES)
    });
    base + tile * tiles
}

/// A size scaled down to `most` pixels on its longer side.
fn fit((width, height): Size, most: u64) -> Size {
    let longer = width.max(height);
    if longer <= most { (width, height) } else { (width * most / longer, height * most / longer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_providers_come_out() {
        // OpenAI: 1024 × 1024 is 4 tiles, 2048 × 4096 is 6; low detail is the base alone.
        assert_eq!(tokens("gpt-4o", false, Some((1024, 1024))), 85 + 4 * 170);
        assert_eq!(tokens("gpt-4o", false, Some((2048, 4096))), 85 + 6 * 170);
        assert_eq!(tokens("gpt-4o", true, Some((4096, 8192))), 85);
        assert_eq!(tokens("gpt-4.1-mini", false, Some((1024, 1024))), 1659);
        // Anthropic: 200 × 200 is about 54, 1092 × 1092 about 1590.
        assert_eq!(tokens("claude-sonnet-4-5", false, Some((200, 200))), 54);
        assert_eq!(tokens("claude-sonnet-4-5", false, Some((1092, 1092))), 1590);
        assert_eq!(tokens("claude-sonnet-4-5", false, Some((8000, 8000))), 1600);
        // Gemini 2: 258, or 258 a tile.
        assert_eq!(tokens("gemini-2.5-flash", false, Some((384, 384))), 258);
        assert_eq!(tokens("gemini-2.5-flash", false, Some((1536, 768))), 2 * 258);
    }

    #[test]
    fn an_image_of_unknown_size_is_reserved_at_its_most() {
        for model in ["gpt-4o", "gpt-4.1-mini", "claude-sonnet-4-5"] {
            for size in [(1, 1), (500, 3000), (4096, 4096), (768, 2048)] {
                assert!(tokens(model, false, None) >= tokens(model, false, Some(size)), "{model} {size:?}");
            }
        }
    }

    #[test]
    fn the_size_is_read_off_the_head_of_the_data() {
        // A PNG of 3 × 2 pixels, cut after its header.
        let png = STANDARD.encode([
            0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 3,
            0, 0, 0, 2, 8, 2, 0, 0, 0, 0,
        ]);
        assert_eq!(size_of(&png), Some((3, 2)));
        assert_eq!(size_of("AAAA"), None);
        assert_eq!(size_of("no base64 at all"), None);
    }
}

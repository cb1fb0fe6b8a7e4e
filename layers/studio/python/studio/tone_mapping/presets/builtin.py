"""The looks that come with Studio, each nothing but sliders."""

from typing import NamedTuple

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment, ToneCurve


class BuiltinPreset(NamedTuple):
    """A look of ours; its id is its name in snake_case, behind ``builtin_``."""

    name: str
    description: str
    adjustments: Adjustments

    @property
    def id(self) -> str:
        """What requests name it by."""
        return "builtin_" + self.name.lower().replace(" ", "_")


_LOOKS = (
    BuiltinPreset(
        "Vivid",
        "More of everything, skin kept in bounds: landscapes, food, markets.",
        Adjustments(contrast=18, highlights=-14, shadows=12, vibrance=38, saturation=6),
    ),
    BuiltinPreset(
        "Soft Portrait",
        "Gentle contrast and open shadows, light and even skin.",
        Adjustments(
            contrast=-10,
            highlights=-22,
            shadows=20,
            temperature=3,
            vibrance=8,
            clarity=-12,
            texture=-18,
            hsl=Hsl(red=HueAdjustment(hue=8, saturation=-8), orange=HueAdjustment(saturation=-8, luminance=16)),
        ),
    ),
    BuiltinPreset(
        "Teal and Orange",
        "The cinema's complementary pair: shadows and skies to teal, skin kept warm.",
        Adjustments(
            contrast=10,
            tone_curve=ToneCurve(
                red=((0, 0), (0.25, 0.19), (0.75, 0.785), (1, 1)),
                blue=((0, 0.045), (0.25, 0.285), (0.75, 0.71), (1, 0.95)),
            ),
            hsl=Hsl(
                orange=HueAdjustment(saturation=14),
                yellow=HueAdjustment(hue=-25, saturation=-10),
                green=HueAdjustment(hue=30, saturation=-35),
                aqua=HueAdjustment(saturation=12),
                blue=HueAdjustment(hue=-45, saturation=-6),
                purple=HueAdjustment(saturation=-35),
                magenta=HueAdjustment(saturation=-35),
            ),
        ),
    ),
    BuiltinPreset(
        "Bleach Bypass",
        "Silver left in the film: hard contrast, little colour.",
        Adjustments(contrast=42, highlights=12, shadows=-8, blacks=-6, saturation=-58),
    ),
    BuiltinPreset(
        "Faded Film",
        "An old print: lifted blacks, creamy whites, quiet colours.",
        Adjustments(
            saturation=-18,
            temperature=5,
            tone_curve=ToneCurve(
                rgb=((0, 0.09), (0.25, 0.27), (0.6, 0.62), (1, 0.94)),
                blue=((0, 0.04), (0.5, 0.5), (1, 0.94)),
            ),
        ),
    ),
    BuiltinPreset(
        "Matte",
        "Blacks that stop short of black, the rest as it was.",
        Adjustments(saturation=-6, tone_curve=ToneCurve(rgb=((0, 0.075), (0.18, 0.2), (0.5, 0.51), (1, 0.97)))),
    ),
    BuiltinPreset(
        "Golden Hour",
        "The sun an hour before it sets.",
        Adjustments(
            temperature=24,
            tint=5,
            highlights=-18,
            shadows=12,
            vibrance=16,
            hsl=Hsl(orange=HueAdjustment(luminance=8), yellow=HueAdjustment(hue=-14, saturation=8)),
        ),
    ),
    BuiltinPreset(
        "Blue Hour",
        "The light after sunset: cool, a little darker, lamps still warm.",
        Adjustments(
            exposure=-0.25,
            temperature=-40,
            tint=10,
            contrast=8,
            saturation=-6,
            hsl=Hsl(orange=HueAdjustment(saturation=18, luminance=8), blue=HueAdjustment(saturation=8)),
        ),
    ),
    BuiltinPreset(
        "Day for Night",
        "Shot at noon, set at midnight: dark, blue, highlights held down.",
        Adjustments(
            exposure=-1.4,
            contrast=14,
            highlights=-45,
            temperature=-62,
            tint=8,
            saturation=-24,
            tone_curve=ToneCurve(
                rgb=((0, 0), (0.5, 0.47), (1, 0.84)), red=((0, 0), (1, 0.9)), blue=((0, 0.03), (0.5, 0.52), (1, 1))
            ),
        ),
    ),
    BuiltinPreset(
        "Noir",
        "Black and white with hard light and deep blacks.",
        Adjustments(
            exposure=0.1,
            contrast=42,
            whites=20,
            blacks=-14,
            saturation=-100,
            hsl=Hsl(orange=HueAdjustment(luminance=12), blue=HueAdjustment(luminance=-25)),
        ),
    ),
    BuiltinPreset(
        "Silver",
        "Black and white through an orange filter: darker skies, light skin, open shadows.",
        Adjustments(
            contrast=6,
            shadows=16,
            saturation=-100,
            hsl=Hsl(
                red=HueAdjustment(luminance=22),
                orange=HueAdjustment(luminance=28),
                yellow=HueAdjustment(luminance=14),
                aqua=HueAdjustment(luminance=-35),
                blue=HueAdjustment(luminance=-50),
            ),
        ),
    ),
    BuiltinPreset(
        "Cross Process",
        "Slide film in the wrong bath: blue shadows, yellow-green lights, loud colours.",
        Adjustments(
            saturation=10,
            tone_curve=ToneCurve(
                red=((0, 0), (0.25, 0.17), (0.75, 0.82), (1, 1)),
                green=((0, 0), (0.25, 0.22), (0.75, 0.81), (1, 1)),
                blue=((0, 0.1), (0.3, 0.33), (0.75, 0.68), (1, 0.86)),
            ),
        ),
    ),
    BuiltinPreset(
        "Pastel",
        "Light and airy, colours of sugared almonds.",
        Adjustments(
            exposure=0.25,
            contrast=-22,
            highlights=-16,
            shadows=32,
            vibrance=16,
            saturation=-16,
            tone_curve=ToneCurve(rgb=((0, 0.06), (0.5, 0.53), (1, 0.99))),
        ),
    ),
    BuiltinPreset(
        "Autumn",
        "Greens turn to gold, golds to rust.",
        Adjustments(
            temperature=12,
            contrast=6,
            hsl=Hsl(
                orange=HueAdjustment(saturation=12),
                yellow=HueAdjustment(hue=-100, saturation=16),
                green=HueAdjustment(hue=-100, saturation=10, luminance=14),
                aqua=HueAdjustment(saturation=-40),
            ),
        ),
    ),
    BuiltinPreset(
        "High Key",
        "Bright and nearly without shadows: products, babies, snow.",
        Adjustments(exposure=0.65, contrast=-12, shadows=38, whites=20, saturation=-6),
    ),
    BuiltinPreset(
        "Low Key",
        "Out of the dark: black surroundings, light where it matters.",
        Adjustments(exposure=-0.45, contrast=26, shadows=-22, blacks=-10, vibrance=-8),
    ),
    BuiltinPreset(
        "Storm",
        "Heavy skies: blues darkened, clouds brought out.",
        Adjustments(
            contrast=12,
            highlights=-36,
            saturation=-12,
            clarity=28,
            dehaze=18,
            hsl=Hsl(
                aqua=HueAdjustment(luminance=-30),
                blue=HueAdjustment(saturation=-8, luminance=-45),
            ),
        ),
    ),
)

BUILTIN_PRESETS = {preset.id: preset for preset in sorted(_LOOKS, key=lambda preset: preset.id)}

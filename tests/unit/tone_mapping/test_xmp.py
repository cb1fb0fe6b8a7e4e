from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError
from studio.tone_mapping.read_adjustments import read_adjustments
from studio.tone_mapping.xmp import XmpPreset, read_xmp
from tests.speed import assert_quick

PRESETS = Path(__file__).parent / "presets"


def preset(attributes: str = "", elements: str = "") -> str:
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Version="16.2"
{attributes}>
{elements}
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
"""


def curve(name: str, *points: str) -> str:
    items = "".join(f"<rdf:li>{point}</rdf:li>" for point in points)
    return f"<crs:{name}><rdf:Seq>{items}</rdf:Seq></crs:{name}>"


def test_a_preset_with_curves_and_hsl() -> None:
    got = read_xmp((PRESETS / "harbour_dusk.xmp").read_text())
    assert got.title == "Harbour & dusk"
    assert got.adjustments == Adjustments(
        temperature_kelvin=7200,
        tint=2,
        exposure=0.35,
        contrast=-14,
        highlights=-62,
        shadows=38,
        blacks=-9,
        texture=6,
        clarity=10,
        vibrance=18,
        saturation=-4,
        tone_curve=ToneCurve(
            rgb=((0, 14 / 255), (51 / 255, 46 / 255), (204 / 255, 214 / 255), (1, 247 / 255)),
            blue=((0, 20 / 255), (1, 240 / 255)),
        ),
        hsl=Hsl(
            red=HueAdjustment(hue=5),
            orange=HueAdjustment(saturation=9, luminance=11),
            yellow=HueAdjustment(hue=-12),
            green=HueAdjustment(saturation=-35),
            blue=HueAdjustment(hue=-8, luminance=-15),
        ),
    )
    assert got.unmapped == (
        "ParametricLights=-7",
        "SplitToningShadowSaturation=8",
        "GrainAmount=15",
        "PostCropVignetteAmount=-12",
        "Look=Coastal Film",
        "MaskGroupBasedCorrections=(1)",
    )


def test_a_preset_of_elements() -> None:
    got = read_xmp((PRESETS / "plain_elements.xmp").read_text())
    assert got == XmpPreset(
        title="Plain elements",
        adjustments=Adjustments(
            exposure=-1.25,
            whites=22,
            temperature=-20,
            tint=6,
            dehaze=15,
            tone_curve=ToneCurve(rgb=((0, 0), (128 / 255, 140.5 / 255), (1, 1))),
            hsl=Hsl(purple=HueAdjustment(luminance=30)),
        ),
        unmapped=("LensProfileEnable=1",),
    )


def test_what_is_at_rest_is_no_news() -> None:
    got = read_xmp(preset('crs:Exposure2012="0.00" crs:Tint="+0" crs:Sharpness="40" crs:AutoTone="False"'))
    assert got == XmpPreset("", Adjustments(), ())


@pytest.mark.parametrize(
    ("attributes", "adjustments", "unmapped"),
    [
        ('crs:Temperature="5200" crs:Tint="8"', Adjustments(temperature_kelvin=5200, tint=-2), ()),
        ('crs:WhiteBalance="Cloudy" crs:Temperature="6504" crs:Tint="+10"', Adjustments(), ()),
        (
            'crs:Temperature="5200" crs:Tint="120"',
            Adjustments(temperature_kelvin=5200, tint=100),
            ("Tint=120 (clamped to 110)",),
        ),
        ('crs:Tint="8"', Adjustments(tint=8), ()),
        ('crs:Temperature="6504"', Adjustments(), ()),
        ('crs:WhiteBalance="As Shot" crs:Temperature="5200" crs:Tint="8"', Adjustments(), ()),
        ('crs:WhiteBalance="Daylight" crs:Temperature="5500"', Adjustments(temperature_kelvin=5500), ()),
        ('crs:WhiteBalance="Auto"', Adjustments(), ("WhiteBalance=Auto",)),
        (
            'crs:WhiteBalance="Auto" crs:AutoWhiteVersion="134348800" crs:Temperature="4300" crs:Tint="3"',
            Adjustments(),
            ("WhiteBalance=Auto",),
        ),
        ('crs:UprightCenterNormX="0.5" crs:PerspectiveUpright="1"', Adjustments(), ("PerspectiveUpright=1",)),
        (
            'crs:Temperature="5200" crs:Tint="8" crs:IncrementalTemperature="9" crs:IncrementalTint="0"',
            Adjustments(temperature=9, tint=8),
            ("Temperature=5200",),
        ),
        (
            'crs:Tint="-130" crs:Temperature="1000"',
            Adjustments(tint=-100, temperature_kelvin=2000),
            ("Temperature=1000 (clamped to 2000)", "Tint=-130 (clamped to -90)"),
        ),
        ('crs:Exposure2012="+7.5"', Adjustments(exposure=5), ("Exposure2012=+7.5 (clamped to 5)",)),
        (
            'crs:HueAdjustmentRed="1e9"',
            Adjustments(hsl=Hsl(red=HueAdjustment(hue=100))),
            ("HueAdjustmentRed=1e9 (clamped to 100)",),
        ),
        (
            'crs:ConvertToGrayscale="True" crs:Saturation="20" crs:Vibrance="9" crs:HueAdjustmentRed="9" '
            'crs:GrayMixerRed="-12" crs:GrayMixerBlue="0"',
            Adjustments(saturation=-100, hsl=Hsl(red=HueAdjustment(luminance=-12))),
            (),
        ),
        ('crs:GrayMixerRed="-12"', Adjustments(), ()),
        ('crs:CameraProfile="Camera Portrait"', Adjustments(), ("CameraProfile=Camera Portrait",)),
        (f'crs:RGBTable="{"A" * 99}" crs:Table_A="{"x" * 999}"', Adjustments(), (f"RGBTable={'A' * 60}…",)),
        (
            'crs:Exposure="+1.00" crs:Contrast="25" crs:Brightness="60"',
            Adjustments(),
            ("Exposure=+1.00", "Brightness=60"),
        ),
    ],
)
def test_single_settings(attributes: str, adjustments: Adjustments, unmapped: tuple[str, ...]) -> None:
    got = read_xmp(preset(attributes))
    assert got.adjustments == adjustments
    assert got.unmapped == unmapped


@pytest.mark.parametrize(
    ("elements", "tone_curve", "unmapped"),
    [
        (curve("ToneCurvePV2012", "0, 0", "255, 255"), ToneCurve(), ()),
        (curve("ToneCurvePV2012Green", "0,0", " 51 , 102 "), ToneCurve(green=((0, 0), (0.2, 0.4))), ()),
        (
            curve("ToneCurvePV2012Red", "-3, 0", "255, 306"),
            ToneCurve(),
            ("ToneCurvePV2012Red=-3, 0; 255, 306 (clamped to 0..255)",),
        ),
        (curve("ToneCurvePV2012", "9, 0", "9, 255"), ToneCurve(), ("ToneCurvePV2012=9, 0; 9, 255",)),
        (curve("ToneCurvePV2012", "9, 0"), ToneCurve(), ("ToneCurvePV2012=9, 0",)),
        (
            "<crs:ConvertToGrayscale>True</crs:ConvertToGrayscale>" + curve("ToneCurvePV2012Blue", "0, 51", "255, 255"),
            ToneCurve(),
            ("ToneCurvePV2012Blue=0, 51; 255, 255",),
        ),
        (curve("PointColors", "1, 2, 3", "4, 5, 6"), ToneCurve(), ("PointColors=(2)",)),
        (
            curve("PointColors", "-1.000000, -1.000000") + curve("ColorVariance", "-50.000000"),
            ToneCurve(),
            (),
        ),
        ('<crs:LensBlur crs:Active="false" crs:BlurAmount="50"/>', ToneCurve(), ()),
        ('<crs:LensBlur crs:Active="true" crs:BlurAmount="50"/>', ToneCurve(), ("LensBlur",)),
        (curve("ToneCurve", "0, 0", "32, 16", "255, 255"), ToneCurve(), ("ToneCurve=(3)",)),
        (curve("ToneCurve", "0, 0", "32, 22", "64, 56", "128, 128", "192, 196", "255, 255"), ToneCurve(), ()),
        (curve("ToneCurveRed", "0, 0", "255, 255"), ToneCurve(), ()),
        (
            curve("ToneCurve", "0, 0", "32, 16", "255, 255") + curve("ToneCurvePV2012", "0, 0", "255, 255"),
            ToneCurve(),
            (),
        ),
        ('<crs:Look crs:Name=""/>', ToneCurve(), ()),
        ('<crs:Look crs:Name="Vivid"/>', ToneCurve(), ("Look=Vivid",)),
        ('<crs:Look><rdf:Description crs:Amount="1"/></crs:Look>', ToneCurve(), ("Look",)),
        ("<crs:Name>Plain</crs:Name><crs:Group/>", ToneCurve(), ()),
    ],
)
def test_curves_and_structures(elements: str, tone_curve: ToneCurve, unmapped: tuple[str, ...]) -> None:
    got = read_xmp(preset(elements=elements))
    assert got.adjustments.tone_curve == tone_curve
    assert got.unmapped == unmapped


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: not well-formed XML: no element found"),
        ("s = {\n  id = 1 }", "line 1, column 1: not well-formed XML: syntax error"),
        (preset("", "<crs:Name>"), "line 6, column 3: not well-formed XML: mismatched tag"),
        (preset("", "&later;"), "line 5, column 1: not well-formed XML: undefined entity"),
        (preset('crs:Tint="1" crs:Tint="2"'), "line 4, column 14: not well-formed XML: duplicate attribute"),
        (preset("", "<lr:Name/>"), "line 5, column 1: not well-formed XML: unbound prefix"),
        ("<a>\ud800</a>", "not well-formed XML: it holds half a surrogate pair"),
        ("<svg/>", "no preset: the file has no Camera Raw settings (crs:) in an rdf:Description"),
        (
            f'<a xmlns:b="{"u" * 500_000}">{"<b:c/>" * 80_000}</a>',
            "line 1, column 1: a namespace may have 200 characters in a preset",
        ),
        ("<!DOCTYPE svg><svg/>", "line 1, column 14: a preset may not have a DOCTYPE"),
        (f"{LAUGHS}]><a>&m;</a>", "line 1, column 16: a preset may not have a DOCTYPE"),
        (
            '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
            "line 2, column 13: a preset may not have a DOCTYPE",
        ),
        (preset('crs:Exposure2012="bright"'), 'line 3, column 1: Exposure2012 must be a number, got "bright"'),
        (preset('crs:Saturation="nan"'), 'line 3, column 1: Saturation must be a number, got "nan"'),
        (preset("", "\n <crs:Dehaze/>"), 'line 6, column 2: Dehaze must be a number, got ""'),
        (
            preset("", curve("ToneCurvePV2012", "0, 0", "1 2")),
            'line 5, column 1: ToneCurvePV2012 expects points such as 64, 56, got "1 2"',
        ),
        (
            preset("", curve("ToneCurvePV2012", "0, inf")),
            'line 5, column 1: ToneCurvePV2012 expects points such as 64, 56, got "0, inf"',
        ),
    ],
)
def test_errors_say_what_is_wrong_and_where(text: str, message: str) -> None:
    def read() -> None:
        with pytest.raises(PresetFileError) as caught:
            read_xmp(text)
        assert caught.value.message == message

    assert_quick(read, 0.1)


def test_the_limit_is_a_parameter() -> None:
    text = preset()
    assert read_xmp(text, max_characters=len(text)).adjustments == Adjustments()
    with pytest.raises(PresetFileTooLargeError, match=f"may have {len(text) - 1} characters, got {len(text)}"):
        read_xmp(text, max_characters=len(text) - 1)
    with pytest.raises(PresetFileTooLargeError):
        read_xmp(" " * 1_000_001)


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param("<crs:A>" * 60_000 + "</crs:A>" * 60_000, id="depth"),
        pytest.param("<crs:Name>" + "x<!---->" * 120_000 + "</crs:Name>", id="pieces"),
        pytest.param("<crs:A>1</crs:A>" * 60_000, id="repetition"),
        pytest.param("".join(f"<crs:A{i}>1</crs:A{i}>" for i in range(35_000)), id="names"),
    ],
)
def test_a_hostile_file_within_the_limit_is_read_quickly(elements: str) -> None:
    assert_quick(lambda: read_xmp(preset("", elements)), 2)


NUMBERS = st.one_of(st.integers(-200, 200).map(str), st.floats().map(str), st.text("0123456789+-.e, ", max_size=6))
POINTS = st.one_of(NUMBERS, st.tuples(NUMBERS, NUMBERS).map(", ".join))
NAMES = st.sampled_from(["Exposure2012", "Temperature", "IncrementalTemperature", "Tint", "HueAdjustmentRed", "Look"])
ELEMENTS = st.one_of(
    st.builds("<crs:{0}>{1}</crs:{0}>".format, NAMES, NUMBERS),
    st.lists(POINTS, max_size=40).map(lambda points: curve("ToneCurvePV2012", *points)),
    st.sampled_from(["<rdf:Description crs:Name='a'/>", "<crs:Name>a</crs:Name>", "<crs:Look>", "<rdf:li/>", "<!--"]),
    st.text(max_size=8),
)


@given(st.one_of(st.text(), st.lists(ELEMENTS, max_size=5).map(lambda parts: preset("", "".join(parts)))))
@settings(deadline=None, max_examples=400)
def test_garbage_raises_nothing_but_our_error(text: str) -> None:
    try:
        got = read_xmp(text)
    except PresetFileError:
        return
    assert read_adjustments(asdict(got.adjustments)) == got.adjustments


OTHERS = st.sampled_from(["Contrast2012", "Saturation", "Texture", "LuminanceAdjustmentAqua"])


@given(
    st.floats(-5, 5),
    st.dictionaries(OTHERS, st.integers(-100, 100)),
    st.lists(st.integers(0, 255), min_size=2, max_size=16, unique=True).map(sorted),
)
@settings(deadline=None)
def test_numbers_within_range_come_through_unchanged(exposure: float, others: dict[str, int], xs: list[int]) -> None:
    attributes = " ".join(f'crs:{name}="{value:+d}"' for name, value in others.items())
    points = curve("ToneCurvePV2012", *(f"{x}, {255 - x}" for x in xs))
    got = read_xmp(preset(f'crs:Exposure2012="{exposure!r}" {attributes}', points))
    assert got.unmapped == ()
    assert got.adjustments == Adjustments(
        exposure=exposure,
        contrast=others.get("Contrast2012", 0),
        saturation=others.get("Saturation", 0),
        texture=others.get("Texture", 0),
        tone_curve=ToneCurve(rgb=tuple((x / 255, (255 - x) / 255) for x in xs)),
        hsl=Hsl(aqua=HueAdjustment(luminance=others.get("LuminanceAdjustmentAqua", 0))),
    )

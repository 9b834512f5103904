//! `plot`: every picture as SVG and as PNG. That they read well was looked at.

use crate::support::Workplace;

#[test]
fn every_picture_in_both_formats() {
    let place = Workplace::new();
    for picture in [
        "heat-map mul8s_1L2J",
        "heat-map mul16s_GRU",
        "heat-map exact:uint2,int3",
        "heat-map mul8s_1L2J mul8s_1L2N",
        "histogram mul8s_1L2J",
        "histogram exact",
        "histogram htp:mul8s_1KV9",
        "histogram exact:uint2,int3",
        "pareto",
        "pareto --bits 12",
        "pareto --bits 16",
    ] {
        place.succeed(&format!("plot {picture} --output picture.svg"));
        let svg = String::from_utf8(place.read("picture.svg")).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{picture}"
        );
        let values = ["error", "difference"];
        assert!(values.iter().any(|value| svg.contains(value)), "{picture}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{picture}");
        place.succeed(&format!("plot {picture} --output picture.png"));
        let png = place.read("picture.png");
        assert!(png.starts_with(b"\x89PNG"), "{picture}");
    }
    assert_eq!(place.files(), ["picture.png", "picture.svg"]);
}

#[test]
fn other_pictures_are_refused() {
    let place = Workplace::new();
    place.fail("plot heat-map mul8s_1L2J --output errors.pdf", 2, ".svg");
    place.fail(
        "plot heat-map mul8s_1L2J exact:int4 --output errors.svg",
        2,
        "same operands",
    );
    place.fail("plot pareto --bits 9 --output p.svg", 2, "8, 12 and 16");
    place.fail(
        "plot heat-map mul8s_1L2J --output missing/errors.svg",
        1,
        "missing",
    );
    place.fail("plot heat-map nothing --output errors.svg", 2, "nothing");
}

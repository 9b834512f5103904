//! Circuits for the tests: gates with the function that they compute, written in each of the languages.

use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// A bit of the first operand.
    A(usize),
    /// A bit of the second operand.
    B(usize),
    /// The output of a gate.
    Gate(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    And,
    Or,
    Xor,
    Nand,
    Nor,
    Xnor,
    /// Of the first input alone.
    Not,
    One,
}

/// A gate of two inputs.
pub type Gate = (Function, Net, Net);

/// How the gates of a Verilog module are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Assignments,
    Primitives,
    Cells,
}

#[derive(Clone, Debug)]
pub struct Circuit {
    pub name: String,
    pub bits: [usize; 2],
    pub gates: Vec<Gate>,
    pub outputs: Vec<Net>,
}

impl Circuit {
    /// A multiplier of partial products that are added up column by column. It leaves out those of the lowest `dropped`
    /// columns; a signed one is that of Baugh and Wooley.
    pub fn multiplier(name: &str, bits: usize, dropped: usize, signed: bool) -> Self {
        let mut circuit = Self {
            name: name.into(),
            bits: [bits; 2],
            gates: Vec::new(),
            outputs: Vec::new(),
        };
        let one = circuit.gate(Function::One, Net::A(0), Net::A(0));
        let zero = circuit.gate(Function::Not, one, one);
        let mut columns: Vec<Vec<Net>> = vec![Vec::new(); 2 * bits + 1];
        for i in 0..bits {
            for j in 0..bits {
                if i + j >= dropped {
                    let inverted = signed && (i == bits - 1) != (j == bits - 1);
                    let function = if inverted {
                        Function::Nand
                    } else {
                        Function::And
                    };
                    let product = circuit.gate(function, Net::A(i), Net::B(j));
                    columns[i + j].push(product);
                }
            }
        }
        if signed {
            columns[bits].push(one);
            columns[2 * bits - 1].push(one);
        }
        for position in 0..2 * bits {
            while columns[position].len() > 1 {
                let a = columns[position].remove(0);
                let b = columns[position].remove(0);
                let half = circuit.gate(Function::Xor, a, b);
                let mut carry = circuit.gate(Function::And, a, b);
                let mut sum = half;
                if !columns[position].is_empty() {
                    let c = columns[position].remove(0);
                    sum = circuit.gate(Function::Xor, half, c);
                    let other = circuit.gate(Function::And, half, c);
                    carry = circuit.gate(Function::Or, carry, other);
                }
                columns[position].push(sum);
                columns[position + 1].push(carry);
            }
        }
        circuit.outputs = columns[..2 * bits]
            .iter()
            .map(|column| column.first().copied().unwrap_or(zero))
            .collect();
        circuit
    }

    fn gate(&mut self, function: Function, a: Net, b: Net) -> Net {
        self.gates.push((function, a, b));
        Net::Gate(self.gates.len() - 1)
    }

    /// The pattern of the outputs for patterns of the operands.
    pub fn evaluate(&self, a: u64, b: u64) -> u64 {
        let mut values: Vec<bool> = Vec::new();
        let get = |values: &[bool], net| match net {
            Net::A(bit) => a >> bit & 1 == 1,
            Net::B(bit) => b >> bit & 1 == 1,
            Net::Gate(gate) => values[gate],
        };
        for &(function, first, second) in &self.gates {
            let (x, y) = (get(&values, first), get(&values, second));
            values.push(match function {
                Function::And => x & y,
                Function::Or => x | y,
                Function::Xor => x ^ y,
                Function::Nand => !(x & y),
                Function::Nor => !(x | y),
                Function::Xnor => x == y,
                Function::Not => !x,
                Function::One => true,
            });
        }
        let bits = self.outputs.iter().enumerate();
        bits.map(|(bit, &net)| u64::from(get(&values, net)) << bit)
            .sum()
    }

    /// A function in the style of EvoApproxLib.
    pub fn c(&self) -> String {
        let net = |net| match net {
            Net::A(bit) => format!("((A >> {bit})&1)"),
            Net::B(bit) => format!("((B >> {bit})&1)"),
            Net::Gate(gate) => format!("n{gate}"),
        };
        let mut text = format!(
            "uint64_t {}(const uint64_t A, const uint64_t B)\n{{\n  uint64_t O = 0;\n",
            self.name
        );
        for (gate, &(function, a, b)) in self.gates.iter().enumerate() {
            let (a, b) = (net(a), net(b));
            let value = match function {
                Function::And => format!("{a}&{b}"),
                Function::Or => format!("{a}|{b}"),
                Function::Xor => format!("{a}^{b}"),
                Function::Nand => format!("~({a}&{b})"),
                Function::Nor => format!("~({a}|{b})"),
                Function::Xnor => format!("1^{a}^{b}"),
                Function::Not => format!("!({a}&1)"),
                Function::One => "0x1u".into(),
            };
            writeln!(text, "  uint8_t n{gate}={value};").unwrap();
        }
        for (bit, &output) in self.outputs.iter().enumerate() {
            writeln!(text, "  O |= (uint64_t)({}&1) << {bit};", net(output)).unwrap();
        }
        text + "  return O;\n}\n"
    }

    pub fn verilog(&self, style: Style) -> String {
        let net = |net| match net {
            Net::A(bit) => format!("A[{bit}]"),
            Net::B(bit) => format!("B[{bit}]"),
            Net::Gate(gate) => format!("n[{gate}]"),
        };
        let mut text = format!(
            "module {} (A, B, O);\n  input [{}:0] A;\n  input [{}-1:0] B;\n  output [{}:0] O;\n  wire [0:{}] n;\n",
            self.name,
            self.bits[0] - 1,
            self.bits[1],
            self.outputs.len() - 1,
            self.gates.len().max(1) - 1,
        );
        // Backwards: the order does not matter.
        for (gate, &(function, a, b)) in self.gates.iter().enumerate().rev() {
            let (a, b) = (net(a), net(b));
            let (operator, primitive, cell) = match function {
                Function::And => ("&", "and", "AND2_X1"),
                Function::Or => ("|", "or", "OR2_X2"),
                Function::Xor => ("^", "xor", "XOR2X1"),
                Function::Nand => ("~&", "nand", "NAND2_X4"),
                Function::Nor => ("~|", "nor", "NOR2"),
                Function::Xnor => ("~^", "xnor", "XNOR2_X1"),
                Function::Not => ("~", "not", "INV_X1"),
                Function::One => ("1'b1", "supply1", "LOGIC1_X1"),
            };
            match (style, function) {
                (Style::Assignments, Function::One) => writeln!(text, "  assign n[{gate}] = 1'b1;"),
                (Style::Assignments, Function::Not) => writeln!(text, "  assign n[{gate}] = ~{a};"),
                (Style::Assignments, Function::Nand | Function::Nor) => {
                    writeln!(text, "  assign n[{gate}] = ~({a} {} {b});", &operator[1..])
                }
                (Style::Assignments, _) => {
                    writeln!(text, "  assign n[{gate}] = {a} {operator} {b};")
                }
                (Style::Primitives, Function::One) => writeln!(text, "  assign n[{gate}] = 1;"),
                (Style::Primitives, Function::Not) => writeln!(text, "  not #1 (n[{gate}], {a});"),
                (Style::Primitives, _) => {
                    writeln!(text, "  {primitive} g{gate}(n[{gate}], {a}, {b});")
                }
                (Style::Cells, Function::One) => writeln!(text, "  {cell} g{gate}(.Z(n[{gate}]));"),
                (Style::Cells, Function::Not) => {
                    writeln!(text, "  {cell} g{gate}(.ZN(n[{gate}]), .A({a}));")
                }
                (Style::Cells, _) => writeln!(text, "  {cell} g{gate}({a}, {b}, n[{gate}]);"),
            }
            .unwrap();
        }
        let outputs: Vec<String> = self
            .outputs
            .iter()
            .rev()
            .map(|&output| net(output))
            .collect();
        writeln!(text, "  assign O = {{{}}};\nendmodule", outputs.join(", ")).unwrap();
        text
    }

    pub fn blif(&self) -> String {
        let net = |net| match net {
            Net::A(bit) => format!("a{bit}"),
            Net::B(bit) => format!("b{bit}"),
            Net::Gate(gate) => format!("n_{gate}"),
        };
        let names = |prefix: char, count| -> String {
            (0..count).map(|bit| format!(" {prefix}{bit}")).collect()
        };
        let mut text = format!(
            ".model {}\n.inputs{}{}\n.outputs{}\n",
            self.name,
            names('a', self.bits[0]),
            names('b', self.bits[1]),
            names('o', self.outputs.len()),
        );
        for (gate, &(function, a, b)) in self.gates.iter().enumerate().rev() {
            let (a, b) = (net(a), net(b));
            let (inputs, rows) = match function {
                Function::And => (format!("{a} {b}"), "11 1"),
                Function::Or => (format!("{a} {b}"), "1- 1\n-1 1"),
                Function::Xor => (format!("{a} {b}"), "10 1\n01 1"),
                Function::Nand => (format!("{a} {b}"), "11 0"),
                Function::Nor => (format!("{a} {b}"), "00 1"),
                Function::Xnor => (format!("{a} {b}"), "10 0\n01 0"),
                Function::Not => (a, "0 1"),
                Function::One => (String::new(), "1"),
            };
            writeln!(text, ".names {inputs} n_{gate}\n{rows}").unwrap();
        }
        for (bit, &output) in self.outputs.iter().enumerate() {
            writeln!(text, ".names {} o{bit}\n1 1", net(output)).unwrap();
        }
        text + ".end\n"
    }

    /// The circuit in all languages, in Verilog in all styles.
    pub fn all(&self) -> [(approx_multiplier::import::NetlistFormat, String); 5] {
        use approx_multiplier::import::NetlistFormat::{Blif, C, Verilog};
        [
            (C, self.c()),
            (Verilog, self.verilog(Style::Assignments)),
            (Verilog, self.verilog(Style::Primitives)),
            (Verilog, self.verilog(Style::Cells)),
            (Blif, self.blif()),
        ]
    }
}

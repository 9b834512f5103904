//! From the tokens of a Verilog text to its modules.

mod expression;

use super::syntax::{
    Connections, Declaration, ExpressionId, Gate, GateFunction, Instance, Item, Module, Name,
    NetKind, Parameter, Syntax,
};
use crate::NetlistError;
use crate::lexer::{Dialect, Lexer, TokenKind};

/// Keywords that can start no name; those of what a combinational netlist does not have are refused by name.
const KEYWORDS: [&str; 59] = [
    "always",
    "always_comb",
    "always_ff",
    "always_latch",
    "and",
    "assign",
    "begin",
    "buf",
    "bufif0",
    "bufif1",
    "case",
    "casex",
    "casez",
    "defparam",
    "else",
    "end",
    "endcase",
    "endfunction",
    "endgenerate",
    "endmodule",
    "event",
    "for",
    "forever",
    "fork",
    "function",
    "generate",
    "genvar",
    "if",
    "initial",
    "inout",
    "input",
    "integer",
    "localparam",
    "logic",
    "module",
    "nand",
    "nor",
    "not",
    "notif0",
    "notif1",
    "or",
    "output",
    "parameter",
    "primitive",
    "real",
    "reg",
    "signed",
    "specify",
    "supply0",
    "supply1",
    "table",
    "task",
    "time",
    "tri",
    "tri0",
    "wire",
    "while",
    "xnor",
    "xor",
];

pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    syntax: Syntax<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            lexer: Lexer::new(text, Dialect::Verilog),
            syntax: Syntax::default(),
            depth: 0,
        }
    }

    pub fn modules(mut self) -> Result<Syntax<'a>, NetlistError> {
        while self.lexer.token().kind != TokenKind::End {
            self.lexer.expect("module")?;
            let module = self.module()?;
            self.syntax.modules.push(module);
        }
        Ok(self.syntax)
    }

    fn name(&mut self, expected: &str) -> Result<Name<'a>, NetlistError> {
        let token = self.lexer.token();
        let plain = !token.text.starts_with('$') && !KEYWORDS.contains(&token.text);
        if token.kind == TokenKind::Identifier && (token.escaped || plain) {
            self.lexer.advance();
            Ok(Name {
                text: token.text,
                offset: token.offset,
            })
        } else {
            Err(self.lexer.unexpected(expected))
        }
    }

    fn module(&mut self) -> Result<Module<'a>, NetlistError> {
        let name = self.name("the name of a module")?;
        let mut module = Module {
            name,
            bytes: 0,
            ports: Vec::new(),
            items: Vec::new(),
        };
        if self.lexer.accept("#") {
            self.lexer.expect("(")?;
            loop {
                self.lexer.accept("parameter");
                self.parameter(&mut module, false)?;
                if !self.lexer.accept(",") {
                    break;
                }
            }
            self.lexer.expect(")")?;
        }
        if self.lexer.accept("(") && !self.lexer.accept(")") {
            self.ports(&mut module)?;
            self.lexer.expect(")")?;
        }
        self.lexer.expect(";")?;
        while !self.lexer.token().is("endmodule") {
            self.item(&mut module)?;
        }
        module.bytes = self.lexer.advance().offset - module.name.offset;
        Ok(module)
    }

    /// The ports of a module: their names, or declarations.
    fn ports(&mut self, module: &mut Module<'a>) -> Result<(), NetlistError> {
        loop {
            if let Some(kind) = self.direction() {
                let mut declaration = self.declaration_head(kind)?;
                loop {
                    let name = self.name("the name of a port")?;
                    module.ports.push(name);
                    declaration.nets.push((name, None));
                    if !self.lexer.accept(",") {
                        module.items.push(Item::Declaration(declaration));
                        return Ok(());
                    }
                    if self.lexer.token().is("input") || self.lexer.token().is("output") {
                        module.items.push(Item::Declaration(declaration));
                        break;
                    }
                }
            } else {
                module
                    .ports
                    .push(self.name("the name of a port, \"input\" or \"output\"")?);
                if !self.lexer.accept(",") {
                    return Ok(());
                }
            }
        }
    }

    fn direction(&mut self) -> Option<NetKind> {
        if self.lexer.accept("input") {
            Some(NetKind::Input)
        } else if self.lexer.accept("output") {
            Some(NetKind::Output)
        } else {
            None
        }
    }

    /// What precedes the names in a declaration.
    fn declaration_head(&mut self, kind: NetKind) -> Result<Declaration<'a>, NetlistError> {
        let open_is_zero = kind == NetKind::Input && self.lexer.accept("tri0");
        if matches!(kind, NetKind::Input | NetKind::Output) {
            let _ = ["wire", "tri", "logic"]
                .iter()
                .any(|net| self.lexer.accept(net));
        }
        if self.lexer.token().is("reg") {
            return Err(self.lexer.unexpected(
                "a net: what is assigned step by step cannot be read, but for a table of all products in one `case`",
            ));
        }
        let signed = self.lexer.accept("signed");
        let range = self.optional_range()?;
        Ok(Declaration {
            kind,
            open_is_zero,
            signed,
            range,
            nets: Vec::new(),
        })
    }

    fn optional_range(&mut self) -> Result<Option<(ExpressionId, ExpressionId)>, NetlistError> {
        if !self.lexer.accept("[") {
            return Ok(None);
        }
        let first = self.expression()?;
        self.lexer.expect(":")?;
        let last = self.expression()?;
        self.lexer.expect("]")?;
        Ok(Some((first, last)))
    }

    fn item(&mut self, module: &mut Module<'a>) -> Result<(), NetlistError> {
        if self.lexer.accept(";") {
            return Ok(());
        }
        let token = self.lexer.token();
        let kind = match token.text {
            _ if token.kind != TokenKind::Identifier || token.escaped => None,
            "wire" | "tri" | "logic" => Some(NetKind::Wire),
            "input" => Some(NetKind::Input),
            "output" => Some(NetKind::Output),
            "supply0" => Some(NetKind::Supply(false)),
            "supply1" => Some(NetKind::Supply(true)),
            _ => None,
        };
        if let Some(kind) = kind {
            self.lexer.advance();
            return self.declaration(module, kind);
        }
        if self.lexer.accept("assign") {
            self.skip_delay()?;
            loop {
                let target = self.expression()?;
                self.lexer.expect("=")?;
                let value = self.expression()?;
                module.items.push(Item::Assignment { target, value });
                if !self.lexer.accept(",") {
                    break;
                }
            }
            self.lexer.expect(";")?;
            return Ok(());
        }
        for (keyword, is_local) in [("parameter", false), ("localparam", true)] {
            if self.lexer.accept(keyword) {
                loop {
                    self.parameter(module, is_local)?;
                    if !self.lexer.accept(",") {
                        break;
                    }
                }
                self.lexer.expect(";")?;
                return Ok(());
            }
        }
        if token.kind == TokenKind::Identifier
            && !token.escaped
            && let Some(function) = gate_function(token.text)
        {
            self.lexer.advance();
            return self.gates(module, function);
        }
        self.instances(module)
    }

    fn declaration(&mut self, module: &mut Module<'a>, kind: NetKind) -> Result<(), NetlistError> {
        let mut declaration = self.declaration_head(kind)?;
        self.skip_delay()?;
        loop {
            let name = self.name("the name of a net")?;
            let value = if kind == NetKind::Wire && self.lexer.accept("=") {
                Some(self.expression()?)
            } else {
                None
            };
            declaration.nets.push((name, value));
            if !self.lexer.accept(",") {
                break;
            }
        }
        if !self.lexer.accept(";") {
            return Err(self.lexer.unexpected("\",\" or \";\""));
        }
        module.items.push(Item::Declaration(declaration));
        Ok(())
    }

    /// A parameter with its value; a type before its name changes nothing, as the value has its own.
    fn parameter(&mut self, module: &mut Module<'a>, is_local: bool) -> Result<(), NetlistError> {
        let _ = self.lexer.accept("integer") || self.lexer.accept("signed");
        self.optional_range()?;
        let name = self.name("the name of a parameter")?;
        self.lexer.expect("=")?;
        let value = self.expression()?;
        module.items.push(Item::Parameter(Parameter {
            name,
            is_local,
            value,
        }));
        Ok(())
    }

    /// Goes past a delay, which changes no function: `#2`, `#1.5` or `#(1, 2)`.
    fn skip_delay(&mut self) -> Result<(), NetlistError> {
        if !self.lexer.accept("#") {
            return Ok(());
        }
        if !self.lexer.accept("(") {
            self.lexer.expect_kind(TokenKind::Number, "a delay")?;
            if self.lexer.accept(".") {
                self.lexer.expect_kind(TokenKind::Number, "a delay")?;
            }
            return Ok(());
        }
        while !self.lexer.accept(")") {
            let token = self.lexer.token();
            if token.kind != TokenKind::Number && ![",", ":", "."].contains(&token.text) {
                return Err(self.lexer.unexpected("a delay"));
            }
            self.lexer.advance();
        }
        Ok(())
    }

    fn gates(
        &mut self,
        module: &mut Module<'a>,
        function: GateFunction,
    ) -> Result<(), NetlistError> {
        self.skip_delay()?;
        loop {
            let offset = self.lexer.token().offset;
            if !self.lexer.token().is("(") {
                self.name("the name of a gate or \"(\"")?;
            }
            self.lexer.expect("(")?;
            let terminals = self.list(")")?;
            if terminals.len() < 2 {
                return Err(self.lexer.error(
                    offset,
                    format!("a gate with {} terminals", terminals.len()),
                    "an output and at least one input",
                ));
            }
            module.items.push(Item::Gate(Gate {
                function,
                offset,
                terminals,
            }));
            if !self.lexer.accept(",") {
                break;
            }
        }
        self.lexer.expect(";")?;
        Ok(())
    }

    fn instances(&mut self, module: &mut Module<'a>) -> Result<(), NetlistError> {
        let cell = self.name(
            "a declaration, \"assign\", a gate, an instance or \"endmodule\": only combinational netlists can be read",
        )?;
        let parameters = || -> Connections<'a> { Connections::Positional(Vec::new()) };
        let mut given = parameters();
        if self.lexer.accept("#") {
            self.lexer.expect("(")?;
            given = self.connections()?;
        }
        loop {
            if !self.lexer.token().is("(") {
                self.name("the name of an instance")?;
            }
            self.lexer.expect("(")?;
            let connections = self.connections()?;
            let last = !self.lexer.accept(",");
            if !last && !matches!(&given, Connections::Positional(none) if none.is_empty()) {
                // Their expressions would have to be there twice.
                return Err(self
                    .lexer
                    .unexpected("\";\": several instances with parameters need a statement each"));
            }
            module.items.push(Item::Instance(Instance {
                module: cell,
                parameters: std::mem::replace(&mut given, parameters()),
                connections,
            }));
            if last {
                break;
            }
        }
        self.lexer.expect(";")?;
        Ok(())
    }

    /// What is between the brackets of an instance, and the closing one.
    fn connections(&mut self) -> Result<Connections<'a>, NetlistError> {
        if self.lexer.accept(")") {
            return Ok(Connections::Positional(Vec::new()));
        }
        if !self.lexer.token().is(".") {
            let mut positional = Vec::new();
            loop {
                let token = self.lexer.token();
                positional.push(match token.is(",") || token.is(")") {
                    true => None,
                    false => Some(self.expression()?),
                });
                if !self.lexer.accept(",") {
                    break;
                }
            }
            self.lexer.expect(")")?;
            return Ok(Connections::Positional(positional));
        }
        let mut named = Vec::new();
        loop {
            self.lexer.expect(".")?;
            let name = self.name("the name of a port or parameter")?;
            self.lexer.expect("(")?;
            if self.lexer.accept(")") {
                named.push((name, None));
            } else {
                named.push((name, Some(self.expression()?)));
                self.lexer.expect(")")?;
            }
            if !self.lexer.accept(",") {
                break;
            }
        }
        self.lexer.expect(")")?;
        Ok(Connections::Named(named))
    }
}

fn gate_function(keyword: &str) -> Option<GateFunction> {
    Some(match keyword {
        "and" => GateFunction::And { inverted: false },
        "nand" => GateFunction::And { inverted: true },
        "or" => GateFunction::Or { inverted: false },
        "nor" => GateFunction::Or { inverted: true },
        "xor" => GateFunction::Xor { inverted: false },
        "xnor" => GateFunction::Xor { inverted: true },
        "buf" => GateFunction::Buffer { inverted: false },
        "not" => GateFunction::Buffer { inverted: true },
        _ => return None,
    })
}

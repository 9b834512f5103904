//! From the lines of a BLIF text to its models.

use super::{Command, Model, Word, unexpected};
use crate::NetlistError;
use crate::lexer::{MAX_NAME, quoted};

/// Commands that say nothing about the function, with all that follows in their line.
const IGNORED: [&str; 16] = [
    ".area",
    ".attr",
    ".cname",
    ".default_input_arrival",
    ".default_input_drive",
    ".default_max_input_load",
    ".default_output_load",
    ".default_output_required",
    ".delay",
    ".input_arrival",
    ".input_drive",
    ".max_input_load",
    ".output_load",
    ".output_required",
    ".wire",
    ".wire_load_slope",
];

/// Splits the text into lines of words and these into models.
pub(super) struct Parser<'a> {
    text: &'a str,
    next: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, next: 0 }
    }

    /// The words of the next line that has any, with those of lines that a backslash continues it with; none at the
    /// end.
    fn line(&mut self) -> Vec<Word<'a>> {
        let mut words = Vec::new();
        while self.next < self.text.len() {
            let start = self.next;
            let rest = &self.text[start..];
            let length = rest.find('\n').unwrap_or(rest.len());
            self.next += (length + 1).min(rest.len());
            let line = &rest[..length];
            let line = &line[..line.find('#').unwrap_or(line.len())];
            let trimmed = line.trim_end();
            let (line, continues) = match trimmed.strip_suffix('\\') {
                Some(line) => (line, true),
                None => (trimmed, false),
            };
            words.extend(line.split_whitespace().map(|word| Word {
                text: word,
                // The word is a part of the text.
                offset: word.as_ptr() as usize - self.text.as_ptr() as usize,
            }));
            if !continues && !words.is_empty() {
                break;
            }
        }
        words
    }

    fn error(
        &self,
        word: Word,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> NetlistError {
        unexpected(self.text, word.offset, found, expected)
    }

    pub fn models(mut self) -> Result<Vec<Model<'a>>, NetlistError> {
        let mut models: Vec<Model> = Vec::new();
        let mut is_open = false;
        let mut words = self.line();
        while let [command, arguments @ ..] = words.as_slice() {
            let command = *command;
            let mut next = None;
            if let Some(word) = words.iter().find(|word| word.text.len() > MAX_NAME) {
                let found = format!("a name of {} bytes", word.text.len());
                return Err(self.error(*word, found, format!("at most {MAX_NAME}")));
            }
            if command.text == ".model" {
                let [name] = arguments else {
                    return Err(self.error(
                        command,
                        "\".model\" without a single name",
                        "one name",
                    ));
                };
                models.push(Model {
                    name: *name,
                    bytes: 0,
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    commands: Vec::new(),
                });
                is_open = true;
            } else if let Some(model) = models.last_mut().filter(|_| is_open) {
                match command.text {
                    ".inputs" => model.inputs.extend(arguments),
                    ".outputs" => model.outputs.extend(arguments),
                    ".names" => {
                        let (table, following) = self.table(command, arguments)?;
                        model.commands.push(table);
                        next = Some(following);
                    }
                    ".subckt" => model.commands.push(self.instance(command, arguments)?),
                    ".conn" => {
                        let &[from, to] = arguments else {
                            return Err(self.error(
                                command,
                                format!("\".conn\" with {} names", arguments.len()),
                                "two names",
                            ));
                        };
                        model.commands.push(Command::Connection { from, to });
                    }
                    ".end" => is_open = false,
                    ".latch" | ".mlatch" => {
                        return Err(self.error(
                            command,
                            format!("the latch {}", quoted(command.text)),
                            "a combinational circuit, which has no state",
                        ));
                    }
                    ignored if IGNORED.contains(&ignored) => {}
                    other => {
                        return Err(self.error(
                            command,
                            quoted(other),
                            "one of .inputs, .outputs, .names, .subckt, .conn and .end",
                        ));
                    }
                }
            } else {
                return Err(self.error(command, quoted(command.text), "\".model\""));
            }
            words = match next {
                Some(next) => next,
                None => self.line(),
            };
        }
        let mut end = self.text.len();
        for model in models.iter_mut().rev() {
            model.bytes = end - model.name.offset;
            end = model.name.offset;
        }
        Ok(models)
    }

    /// The truth table that follows `.names`, and the line that follows it.
    fn table(
        &mut self,
        command: Word<'a>,
        names: &[Word<'a>],
    ) -> Result<(Command<'a>, Vec<Word<'a>>), NetlistError> {
        let [inputs @ .., output] = names else {
            return Err(self.error(
                command,
                "\".names\" without a name",
                "the name of an output",
            ));
        };
        let mut rows = Vec::new();
        let mut values = Vec::new();
        let following = loop {
            let line = self.line();
            let (row, value) = match (line.as_slice(), inputs.len()) {
                ([], _) => break line,
                ([first, ..], _) if first.text.starts_with('.') => break line,
                // Without inputs there is one empty row.
                (&[value], 0) => (Word { text: "", ..value }, value),
                (&[row, value], 1..) => (row, value),
                ([first, ..], count) => {
                    return Err(self.error(
                        *first,
                        format!("a row of {} words", line.len()),
                        if count == 0 {
                            "0 or 1 alone, as there are no inputs"
                        } else {
                            "a pattern of the inputs and 0 or 1"
                        },
                    ));
                }
            };
            if row.text.len() != inputs.len()
                || row
                    .text
                    .bytes()
                    .any(|bit| !matches!(bit, b'0' | b'1' | b'-'))
            {
                return Err(self.error(
                    row,
                    quoted(row.text),
                    format!("a 0, 1 or - for each of {} inputs", inputs.len()),
                ));
            }
            if !matches!(value.text, "0" | "1") {
                return Err(self.error(value, quoted(value.text), "0 or 1"));
            }
            if values.first().is_some_and(|first| *first != value.text) {
                return Err(self.error(
                    value,
                    quoted(value.text),
                    "the same value as in the rows before: those of 0 or those of 1",
                ));
            }
            rows.push(row);
            values.push(value.text);
        };
        let table = Command::Table {
            inputs: inputs.to_vec(),
            output: *output,
            rows,
            inverted: values.first() == Some(&"0"),
        };
        Ok((table, following))
    }

    fn instance(
        &self,
        command: Word<'a>,
        arguments: &[Word<'a>],
    ) -> Result<Command<'a>, NetlistError> {
        let [model, connections @ ..] = arguments else {
            return Err(self.error(command, "\".subckt\" without a name", "the name of a model"));
        };
        let connections = connections
            .iter()
            .map(|word| {
                let (formal, actual) = word.text.split_once('=').ok_or_else(|| {
                    self.error(*word, quoted(word.text), "a connection such as \"a=n1\"")
                })?;
                let part = |text: &'a str, skipped| Word {
                    text,
                    offset: word.offset + skipped,
                };
                Ok((part(formal, 0), part(actual, formal.len() + 1)))
            })
            .collect::<Result<_, NetlistError>>()?;
        Ok(Command::Instance {
            model: *model,
            connections,
        })
    }
}

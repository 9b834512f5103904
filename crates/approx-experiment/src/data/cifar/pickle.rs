//! Python's pickled objects, as far as batches of CIFAR have them: a program for a machine with a stack, of which
//! nothing is ever executed but the making of dictionaries, lists, tuples, numbers, strings and NumPy's byte arrays.
//!
//! What is not among these is refused. Values keep their strings in the file's content, so that a damaged or hostile
//! file takes no more memory than some words for each of its bytes.

use std::collections::HashMap;

/// Where a value is kept: two places on the stack may be the same object.
pub type Place = usize;

/// A value.
#[derive(Debug)]
pub enum Value<'a> {
    /// None, True or False: nothing here depends on them.
    Constant,
    /// A whole number.
    Integer(i64),
    /// A string, of bytes or of text.
    String(&'a [u8]),
    /// A list.
    List(Vec<Place>),
    /// A tuple.
    Tuple(Vec<Place>),
    /// Keys and values.
    Dictionary(Vec<[Place; 2]>),
    /// The name of a function or of a type.
    Global(String),
    /// What a function makes of arguments, and the state that it is given.
    Object {
        function: Place,
        arguments: Place,
        state: Option<Place>,
    },
}

/// The names that may occur. Before NumPy 2, `_core` was `core`.
const KNOWN: [&str; 4] = [
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
];

/// A byte array of NumPy's.
pub struct Array<'a> {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub bytes: &'a [u8],
}

/// The objects in a file.
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The one that all others are parts of.
    root: Place,
}

impl<'a> Pickle<'a> {
    /// Reads the objects.
    pub fn parse(content: &'a [u8]) -> Result<Self, String> {
        Machine {
            rest: content,
            length: content.len(),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
        .run()
    }

    /// The value at a place.
    pub fn value(&self, place: Place) -> &Value<'a> {
        &self.values[place]
    }

    /// What the dictionary that the file holds has under a name.
    pub fn entry(&self, name: &str) -> Result<Place, String> {
        let Value::Dictionary(entries) = self.value(self.root) else {
            return Err("it does not hold a dictionary".into());
        };
        let is_it =
            |key: Place| matches!(self.value(key), Value::String(key) if *key == name.as_bytes());
        let entry = entries.iter().find(|[key, _]| is_it(*key));
        entry
            .map(|[_, value]| *value)
            .ok_or_else(|| format!("its dictionary has no \"{name}\""))
    }

    /// The elements of a list.
    pub fn list(&self, place: Place) -> Result<&[Place], String> {
        match self.value(place) {
            Value::List(elements) => Ok(elements),
            _ => Err("it has something else where a list is needed".into()),
        }
    }

    /// The text of a string.
    pub fn text(&self, place: Place) -> Result<&'a str, String> {
        let text = match self.value(place) {
            Value::String(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        text.ok_or_else(|| "it has something else where a text is needed".into())
    }

    fn tuple(&self, place: Place) -> Option<&[Place]> {
        match self.value(place) {
            Value::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    fn is_global(&self, place: Place, name: &str) -> bool {
        matches!(self.value(place), Value::Global(found) if found.ends_with(name))
    }

    /// An array of unsigned bytes. NumPy makes an empty one first, and gives it a state: version, shape, type, order,
    /// values.
    pub fn array(&self, place: Place) -> Result<Array<'a>, String> {
        let found = || -> Option<Array<'a>> {
            let Value::Object {
                function,
                state: Some(state),
                ..
            } = self.value(place)
            else {
                return None;
            };
            let &[_, shape, element, order, values] = self.tuple(*state)? else {
                return None;
            };
            let Value::Object {
                function: make_type,
                arguments,
                ..
            } = self.value(element)
            else {
                return None;
            };
            let is_array = self.is_global(*function, " _reconstruct")
                && self.is_global(*make_type, " dtype")
                && self.text(*self.tuple(*arguments)?.first()?) == Ok("u1")
                // The order is C's: False, or 0.
                && matches!(self.value(order), Value::Constant | Value::Integer(0));
            let size = |&size: &Place| match self.value(size) {
                Value::Integer(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            let shape = self.tuple(shape)?.iter().map(size).collect::<Option<_>>()?;
            match self.value(values) {
                Value::String(bytes) if is_array => Some(Array { shape, bytes }),
                _ => None,
            }
        };
        found().ok_or_else(|| "its \"data\" is no array of unsigned bytes".into())
    }
}

/// The machine that a file is a program for.
struct Machine<'a> {
    rest: &'a [u8],
    length: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Place>,
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Pickle<'a>, String> {
        loop {
            let at = self.length - self.rest.len();
            let operation = self.byte()?;
            if operation == b'.' {
                let root = self.pop()?;
                return Ok(Pickle {
                    values: self.values,
                    root,
                });
            }
            self.step(operation)
                .map_err(|problem| format!("{problem} (at byte {at})"))?;
        }
    }

    fn step(&mut self, operation: u8) -> Result<(), String> {
        match operation {
            // Protocol, and the length of a frame.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => {
                let elements = self.pop_to_mark()?;
                self.push(Value::Tuple(elements));
            }
            0x85..=0x87 => {
                let count = usize::from(operation - 0x84);
                let start = self.stack.len().checked_sub(count).ok_or(EMPTY)?;
                let elements = self.stack.split_off(start);
                self.push(Value::Tuple(elements));
            }
            b'N' | 0x88 | 0x89 => self.push(Value::Constant),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let bytes = self.take(4)?;
                let number = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.push(Value::Integer(number.into()));
            }
            b'U' | b'C' | 0x8c => self.string(1)?,
            b'T' | b'B' | b'X' => self.string(4)?,
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let top = *self.stack.last().ok_or(EMPTY)?;
                self.memo.insert(self.memo.len() as u32, top);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'a' => {
                let element = self.pop()?;
                self.extend_list(&[element])?;
            }
            b'e' => {
                let elements = self.pop_to_mark()?;
                self.extend_list(&elements)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dictionary(&[key, value])?;
            }
            b'u' => {
                let entries = self.pop_to_mark()?;
                self.extend_dictionary(&entries)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::String(module), Value::String(name)) =
                    (&self.values[module], &self.values[name])
                else {
                    return Err("it names something by what is no string".into());
                };
                let (module, name) = (*module, *name);
                self.global(module, name)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Value::Object {
                    function,
                    arguments,
                    state: None,
                });
            }
            b'b' => {
                let given = self.pop()?;
                let object = *self.stack.last().ok_or(EMPTY)?;
                match &mut self.values[object] {
                    Value::Object { state, .. } => *state = Some(given),
                    _ => return Err("it gives a state to what has none".into()),
                }
            }
            operation => return Err(format!("the operation {operation:#04x} has no place in it")),
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<u32, String> {
        let taken = self.take(bytes)?.iter().rev();
        Ok(taken.fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    /// What comes before the end of the line.
    fn line(&mut self) -> Result<&'a [u8], String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or("it ends too early")?)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Place, String> {
        Ok(self.stack.pop().ok_or(EMPTY)?)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Place>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or(EMPTY)?))
    }

    fn integer(&mut self, bytes: usize) -> Result<(), String> {
        let number = self.number(bytes)?;
        self.push(Value::Integer(number.into()));
        Ok(())
    }

    fn string(&mut self, bytes: usize) -> Result<(), String> {
        let length = self.number(bytes)?;
        let string = self.take(length as usize)?;
        self.push(Value::String(string));
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<(), String> {
        let name = self.number(bytes)?;
        let top = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(name, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), String> {
        let name = self.number(bytes)?;
        let place = self
            .memo
            .get(&name)
            .ok_or("it recalls what it has not kept")?;
        self.stack.push(*place);
        Ok(())
    }

    fn extend_list(&mut self, more: &[Place]) -> Result<(), String> {
        let list = *self.stack.last().ok_or(EMPTY)?;
        match &mut self.values[list] {
            Value::List(elements) => elements.extend(more),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn extend_dictionary(&mut self, more: &[Place]) -> Result<(), String> {
        let dictionary = *self.stack.last().ok_or(EMPTY)?;
        let (pairs, rest) = more.as_chunks::<2>();
        match &mut self.values[dictionary] {
            Value::Dictionary(entries) if rest.is_empty() => entries.extend(pairs),
            _ => return Err("it sets entries of what is no dictionary".into()),
        }
        Ok(())
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), String> {
        let found = [module, name].map(String::from_utf8_lossy).join(" ");
        if !KNOWN.contains(&&*found) {
            return Err(format!("{found:?} has no place in it"));
        }
        self.push(Value::Global(found));
        Ok(())
    }
}

/// An operation that wants more than is on the stack.
const EMPTY: &str = "its stack is empty";

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A dictionary with one entry, whose value is made by `value`.
    fn dictionary(key: &str, value: &[u8]) -> Vec<u8> {
        [b"\x80\x02}q\x01(", &string(key)[..], value].concat()
    }

    fn string(text: &str) -> Vec<u8> {
        [b"U", &[text.len() as u8], text.as_bytes(), b"q\x02"].concat()
    }

    /// A batch as CIFAR's are: protocol 2, written by Python 2.
    pub fn batch(label_name: &str, labels: &[u8], pixels: &[u8]) -> Vec<u8> {
        let mut content = dictionary("batch_label", &string("training batch 1 of 5"));
        content.extend(string(label_name));
        content.extend(b"]q\x05(");
        content.extend(labels.iter().flat_map(|&label| [b'K', label]));
        content.extend(b"e");
        content.extend(string("data"));
        content.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x08cnumpy\nndarray\nq\x09K\x00\x85U\x01b\x87Rq\x0a(K\x01");
        content.extend([b"M", &(labels.len() as u16).to_le_bytes()[..]].concat());
        let columns = (pixels.len() / labels.len()) as u16;
        content.extend([b"M", &columns.to_le_bytes()[..]].concat());
        content.extend(b"\x86cnumpy\ndtype\nq\x0bU\x02u1K\x00K\x01\x87Rq\x0c(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        content.extend((pixels.len() as u32).to_le_bytes());
        content.extend(pixels);
        content.extend(b"tbu.");
        content
    }

    /// A dictionary with a list of strings.
    pub fn strings(key: &str, strings: &[String]) -> Vec<u8> {
        let list: Vec<u8> = strings.iter().flat_map(|text| string(text)).collect();
        dictionary(key, &[b"](", &list[..], b"eu."].concat())
    }

    #[test]
    fn kept_objects_are_recalled() {
        // {"a": x, "b": x} with one list x = [7].
        let content = b"\x80\x02}(U\x01a]q\x01K\x07aU\x01bh\x01u.";
        let pickle = Pickle::parse(content).unwrap();
        let [a, b] = ["a", "b"].map(|name| pickle.entry(name).unwrap());
        assert_eq!(a, b);
        assert!(
            matches!(pickle.list(a).unwrap(), &[seven] if matches!(pickle.value(seven), Value::Integer(7)))
        );
    }

    #[test]
    fn foreign_operations_and_names_are_refused() {
        for (content, expected) in [
            (&b"cos\nsystem\n(U\x02lstR."[..], "os system"),
            (b"\x80\x02S'text'\n.", "0x53"),
            (b"h\x05.", "has not kept"),
            (b".", "stack is empty"),
            (b"(e.", "stack is empty"),
            (b"K\x01K\x02s.", "stack is empty"),
            (b"K\x01(K\x02e.", "no list"),
            (b"}(K\x01u.", "no dictionary"),
            (b"K\x01K\x01b.", "a state"),
            (b"X\xff\xff\xff\xffabc.", "too early"),
            (b"", "too early"),
        ] {
            let problem = Pickle::parse(content).err().unwrap();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(Pickle::parse(b"K\x01.").unwrap().entry("a").is_err());
    }

    #[test]
    fn no_damage_is_more_than_an_error() {
        let whole = batch("labels", &[1, 2], &[5; 8]);
        for place in 0..whole.len() {
            for change in [0, 1, 0x28, 0x65, 0x75, 0xff] {
                let mut content = whole.clone();
                content[place] = change;
                if let Ok(pickle) = Pickle::parse(&content) {
                    let _ = pickle
                        .entry("data")
                        .and_then(|data| pickle.array(data).map(drop));
                }
            }
        }
    }
}

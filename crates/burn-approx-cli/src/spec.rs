//! SPEC: how the command line names a multiplier.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use approx_multiplier::import::{
    self, CellLibrary, CodeOrder, Execution, ExecutionError, ExecutionLimits, FileKind,
    ImportError, ImportOptions, Imported, NoteKind, PortNames, SignExtension, Synthesis,
};
use approx_multiplier::{
    FamilySpecification, Multiplier, MultiplierFamily, MultiplierSource, OperandFormat, Signedness,
    evoapprox,
};
use clap::{Args, ValueEnum};
use globset::Glob;

use crate::error::CliError;
use crate::output::Output;
use crate::progress;

/// What a program does not say of its operands, and a file need not, and what may be run.
#[derive(Clone, Debug, Default, Args)]
pub struct ProgramOptions {
    /// Take the codes of a file or a program as signed
    #[arg(long, conflicts_with = "unsigned", help_heading = HEADING)]
    pub signed: bool,

    /// Take the codes of a file or a program as unsigned
    #[arg(long, help_heading = HEADING)]
    pub unsigned: bool,

    /// Bits of both operands, or of activation and weight
    #[arg(long, value_name = "N|N,N", value_parser = bits, help_heading = HEADING)]
    pub bits: Option<[u8; 2]>,

    /// Compile files in C and C++ with the system's compiler (CC, CXX), and run what becomes of them: for functions with
    /// loops, branches or memory
    #[arg(long, help_heading = HEADING)]
    pub compile: bool,

    /// How long a program or a compiled function may take for all its products [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = HEADING)]
    pub time_limit: Option<Duration>,

    /// How much memory it may have [default: 2]
    #[arg(long, value_name = "GIB", value_parser = gibibytes, help_heading = HEADING)]
    pub memory_limit: Option<u64>,
}

/// What a file does not say about its multiplier.
#[derive(Clone, Debug, Default, Args)]
pub struct FileOptions {
    #[command(flatten)]
    pub program: ProgramOptions,

    /// The first operand is the weight, not the activation
    #[arg(long, help_heading = HEADING)]
    pub swap_operands: bool,

    /// The order of a table's rows and columns: by bit pattern (0 to 127, then -128 to -1) or by value (-128 to 127)
    #[arg(long, value_enum, help_heading = HEADING)]
    pub order: Option<Order>,

    /// What a 1 in the products of the file counts: 8 for a circuit that gives the product without its three lowest bits
    #[arg(long, value_name = "N", help_heading = HEADING)]
    pub output_scale: Option<NonZeroU32>,

    /// A further file of the same circuit, with modules that it uses; may be given several times
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub with: Vec<PathBuf>,

    /// The module, model or function of a netlist that is the multiplier
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub top: Option<String>,

    /// The value of a parameter of that module; may be given several times
    #[arg(long, value_name = "NAME=N", value_parser = parameter, help_heading = HEADING)]
    pub parameter: Vec<(String, i64)>,

    /// When Yosys makes a netlist of a file in Verilog [default: where it is more than a plain netlist]
    #[arg(long, value_enum, help_heading = HEADING)]
    pub yosys: Option<Yosys>,

    /// The ports of a netlist that are the activation's bits, lowest first
    #[arg(long, value_name = "PORT,..", value_delimiter = ',', requires = "weight_bits", help_heading = HEADING)]
    pub activation_bits: Vec<String>,

    /// The ports that are the weight's bits, lowest first
    #[arg(long, value_name = "PORT,..", value_delimiter = ',', requires = "activation_bits", help_heading = HEADING)]
    pub weight_bits: Vec<String>,

    /// The ports that are the product's bits, lowest first
    #[arg(long, value_name = "PORT,..", value_delimiter = ',', help_heading = HEADING)]
    pub product_bits: Vec<String>,

    /// Where a signed product has its sign: in its own highest bit (added above it), or wherever the circuit has it
    #[arg(long, value_enum, help_heading = HEADING)]
    pub sign_extension: Option<Extension>,

    /// Nets of a circuit that nothing drives are 0
    #[arg(long, help_heading = HEADING)]
    pub undriven_nets_are_zero: bool,

    /// The cells that a netlist in Verilog is made of: a Liberty file, with their functions, and their areas, which add up to
    /// its own; or a file in Verilog
    #[arg(long, value_name = "FILE.lib|FILE.v", help_heading = HEADING)]
    pub cells: Option<PathBuf>,

    /// Refuse a file that leaves anything open, claims what is not so, or is far from any product
    #[arg(long, help_heading = HEADING)]
    pub strict: bool,
}

/// What `--help` lists these options under.
const HEADING: &str = "What a file or a program does not say";

/// The order of a table's rows and columns.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Order {
    /// 0 to 127, then -128 to -1
    Pattern,
    /// -128 to 127
    Value,
}

/// When Yosys reads a file in Verilog.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Yosys {
    /// Where it is more than a plain netlist
    WhereNeeded,
    /// Never
    Never,
    /// Always
    Always,
}

/// Where a signed product has its sign.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Extension {
    /// In the highest bit that the circuit computes
    Computed,
    /// In the highest of as many bits as both operands have, whatever is above
    Added,
}

impl ProgramOptions {
    fn signedness(&self) -> Option<Signedness> {
        match (self.signed, self.unsigned) {
            (true, _) => Some(Signedness::Signed),
            (_, true) => Some(Signedness::Unsigned),
            _ => None,
        }
    }

    /// What is said of a multiplier must be said of one that is named.
    pub fn expect_multiplier(&self, is_named: bool) -> Result<(), CliError> {
        match self.as_file_options().given() {
            Some(option) if !is_named => Err(CliError::Usage(format!(
                "{option} belongs to a file or a program: name one with --multiplier"
            ))),
            _ => Ok(()),
        }
    }

    /// As what is known of a file or a program where nothing else can be said of it.
    pub fn as_file_options(&self) -> FileOptions {
        FileOptions {
            program: self.clone(),
            ..FileOptions::default()
        }
    }
}

impl FileOptions {
    /// As the importers take them.
    pub fn import_options(&self) -> Result<ImportOptions, CliError> {
        let limits = ExecutionLimits::default();
        Ok(ImportOptions {
            signedness: self.program.signedness().map(|signedness| [signedness; 2]),
            bits: self.program.bits,
            execution: match self.program.compile {
                true => Execution::Compile,
                false => Execution::Never,
            },
            execution_limits: ExecutionLimits {
                time: self.program.time_limit.unwrap_or(limits.time),
                memory: self.program.memory_limit.unwrap_or(limits.memory),
            },
            order: self.order.map(|order| match order {
                Order::Pattern => CodeOrder::Pattern,
                Order::Value => CodeOrder::Value,
            }),
            swap_operands: self.swap_operands,
            output_scale: self.output_scale,
            ports: PortNames {
                activation: self.activation_bits.clone(),
                weight: self.weight_bits.clone(),
                product: self.product_bits.clone(),
            },
            sign_extension: self.sign_extension.map(|extension| match extension {
                Extension::Computed => SignExtension::Computed,
                Extension::Added => SignExtension::Added,
            }),
            top: self.top.clone(),
            undriven_nets_are_zero: self.undriven_nets_are_zero,
            parameters: self.parameter.iter().cloned().collect(),
            synthesis: match self.yosys {
                None | Some(Yosys::WhereNeeded) => Synthesis::WhereNeeded,
                Some(Yosys::Never) => Synthesis::Never,
                Some(Yosys::Always) => Synthesis::Always,
            },
            cells: self.liberty().map(read_cells).transpose()?,
            strict: self.strict,
            ..ImportOptions::default()
        })
    }

    /// Reads a multiplier from a file, and what belongs to it; says what had to be assumed.
    pub fn read(&self, path: &Path, output: Output) -> Result<Imported, CliError> {
        let options = self.import_options()?;
        let further = self.with.iter().map(PathBuf::as_path);
        let cells = self.cells.as_deref().filter(|cells| is_verilog(cells));
        let files: Vec<&Path> = [path].into_iter().chain(further).chain(cells).collect();
        let imported = progress::during("reading", || match files.as_slice() {
            [file] => import::read(file, &options),
            files => import::read_several(files, &options),
        });
        let imported = imported.map_err(|error| self.advised(error))?;
        say(&path.display(), &imported, output);
        Ok(imported)
    }

    /// Has a program compute a multiplier; says what had to be assumed.
    pub fn run(&self, command: &str, output: Output) -> Result<Imported, CliError> {
        let usage = |problem: &str| CliError::Usage(format!("`{PROGRAM}{command}`: {problem}"));
        if let Some(option) = self.given_of_files() {
            return Err(usage(&format!(
                "{option} belongs to a file, not to a program"
            )));
        }
        let words = shlex::split(command).ok_or_else(|| usage("a quote is not closed"))?;
        if words.is_empty() {
            return Err(usage("name a program, and then what it is told"));
        }
        if self.program.bits.is_none() {
            return Err(usage(
                "a program does not say how many bits its operands have: give --bits",
            ));
        }
        if self.program.signedness().is_none() {
            return Err(usage(
                "a program does not say whether its operands are signed: give --signed or --unsigned",
            ));
        }
        let options = self.import_options()?;
        let imported = progress::during("computing", || import::program(&words, &options));
        let imported = imported.map_err(|error| self.advised(error))?;
        say(&format_args!("{PROGRAM}{command}"), &imported, output);
        Ok(imported)
    }

    /// An error with the option that helps, if one does.
    fn advised(&self, error: ImportError) -> CliError {
        let option = match &error {
            ImportError::NeedsExecution { .. } => "--compile",
            ImportError::Execution { source, .. }
                if matches!(**source, ExecutionError::OutOfTime { .. }) =>
            {
                "--time-limit"
            }
            _ => return error.into(),
        };
        CliError::Advised {
            source: Box::new(error),
            option,
        }
    }

    /// The library of cells that is no file in Verilog.
    fn liberty(&self) -> Option<&Path> {
        self.cells.as_deref().filter(|cells| !is_verilog(cells))
    }

    /// An option that was given and says something of a file or a program, if there is one besides `--swap-operands`, which
    /// says it of any multiplier, and `--cells`, which says nothing of those without cells.
    pub fn given(&self) -> Option<&'static str> {
        let program = &self.program;
        let options = [
            (program.signed, "--signed"),
            (program.unsigned, "--unsigned"),
            (program.bits.is_some(), "--bits"),
            (program.compile, "--compile"),
            (program.time_limit.is_some(), "--time-limit"),
            (program.memory_limit.is_some(), "--memory-limit"),
            (self.output_scale.is_some(), "--output-scale"),
            (self.strict, "--strict"),
        ];
        first_given(options).or_else(|| self.given_of_files())
    }

    /// One that says something of a file alone.
    fn given_of_files(&self) -> Option<&'static str> {
        first_given([
            (self.order.is_some(), "--order"),
            (!self.with.is_empty(), "--with"),
            (self.top.is_some(), "--top"),
            (!self.parameter.is_empty(), "--parameter"),
            (self.yosys.is_some(), "--yosys"),
            (!self.activation_bits.is_empty(), "--activation-bits"),
            (!self.product_bits.is_empty(), "--product-bits"),
            (self.sign_extension.is_some(), "--sign-extension"),
            (self.undriven_nets_are_zero, "--undriven-nets-are-zero"),
        ])
    }
}

fn first_given(options: impl IntoIterator<Item = (bool, &'static str)>) -> Option<&'static str> {
    options
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
}

/// Prints what is to be said of a multiplier.
fn say(what: &dyn std::fmt::Display, imported: &Imported, output: Output) {
    for note in &imported.notes {
        let kind = match note.kind {
            NoteKind::Warning => "warning: ",
            NoteKind::Contradiction => "contradiction: ",
            _ => "",
        };
        output.note(format!("{what}: {kind}{note}"));
    }
}

/// Whether a file is in Verilog, by its name.
fn is_verilog(path: &Path) -> bool {
    FileKind::of_name(path) == Some(FileKind::Verilog)
}

/// The value of a parameter.
fn parameter(text: &str) -> Result<(String, i64), String> {
    let problem = || format!("`{text}` is no NAME=N such as WIDTH=8");
    let (name, value) = text.split_once('=').ok_or_else(problem)?;
    let value = value.trim().parse().map_err(|_| problem())?;
    Ok((name.trim().to_owned(), value))
}

/// A library of cells.
fn read_cells(path: &Path) -> Result<CellLibrary, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::file(path, error))?;
    CellLibrary::parse(&text).map_err(|error| ImportError::from(error).in_file(path).into())
}

/// What a SPEC begins with that names a program.
const PROGRAM: &str = "exec:";

/// The command of a SPEC that names a program.
pub fn command_of(spec: &str) -> Option<&str> {
    spec.strip_prefix(PROGRAM)
}

/// What is said of one of several multipliers: what files and programs do not say is not said of a bundled circuit beside
/// them.
pub fn options_for(spec: &str, all: &[impl AsRef<str>], options: &FileOptions) -> FileOptions {
    let takes_options = |spec: &str| {
        let plain = spec.strip_suffix(SIGN_MAGNITUDE).unwrap_or(spec);
        command_of(spec).is_some() || [spec, plain].iter().any(|file| Path::new(file).is_file())
    };
    match takes_options(spec) || !all.iter().any(|other| takes_options(other.as_ref())) {
        true => options.clone(),
        false => FileOptions::default(),
    }
}

/// Two multipliers of the same operands, to be compared.
pub fn resolve_pair(
    specs: [&str; 2],
    options: &FileOptions,
    output: Output,
) -> Result<[Multiplier; 2], CliError> {
    let [first, second] = specs.map(|spec| {
        let options = options_for(spec, &specs, options);
        resolve(spec, &options, output)
    });
    let (first, second) = (first?, second?);
    let formats = |multiplier: &Multiplier| (multiplier.activation(), multiplier.weight());
    match formats(&first) == formats(&second) {
        true => Ok([first, second]),
        false => Err(CliError::Usage(format!(
            "{} multiplies {} x {}, but {} {} x {}: only multipliers of the same operands can be compared",
            first.name(),
            first.activation(),
            first.weight(),
            second.name(),
            second.activation(),
            second.weight()
        ))),
    }
}

/// The multiplier that a SPEC names. What had to be assumed is printed.
pub fn resolve(spec: &str, options: &FileOptions, output: Output) -> Result<Multiplier, CliError> {
    if let Some(command) = command_of(spec) {
        return Ok(match command.strip_suffix(SIGN_MAGNITUDE) {
            Some(command) => options.run(command, output)?.multiplier.sign_magnitude()?,
            None => options.run(command, output)?.multiplier,
        });
    }
    if Path::new(spec).is_file() {
        return Ok(options.read(Path::new(spec), output)?.multiplier);
    }
    if let Some(file) = spec.strip_suffix(SIGN_MAGNITUDE)
        && Path::new(file).is_file()
    {
        let imported = options.read(Path::new(file), output)?;
        return Ok(imported.multiplier.sign_magnitude()?);
    }
    if let Some(option) = options.given() {
        return Err(belongs_elsewhere(option, spec));
    }
    let multiplier = named(spec)?;
    Ok(match options.swap_operands {
        true => multiplier.swapped(),
        false => multiplier,
    })
}

fn belongs_elsewhere(option: &str, spec: &str) -> CliError {
    CliError::Usage(format!(
        "{option} belongs to a file or a program, and there is no file `{spec}`"
    ))
}

/// The multipliers that are named, by themselves or by patterns over the library's names, such as `mul8s_*` or
/// `mul8u_*:sign-magnitude`. The options may be for others that are named beside them.
pub fn resolve_all(
    specs: &[String],
    beside: &[&str],
    options: &FileOptions,
    output: Output,
) -> Result<Vec<Multiplier>, CliError> {
    let all: Vec<&str> = specs
        .iter()
        .map(String::as_str)
        .chain(beside.iter().copied())
        .collect();
    let mut multipliers = Vec::new();
    for spec in specs {
        let options = options_for(spec, &all, options);
        let (names, signs) = match spec.strip_suffix(SIGN_MAGNITUDE) {
            Some(names) => (names, true),
            None => (spec.as_str(), false),
        };
        if command_of(spec).is_some() || !names.contains(['*', '?', '[']) {
            multipliers.push(resolve(spec, &options, output)?);
            continue;
        }
        if let Some(option) = options.given() {
            return Err(belongs_elsewhere(option, spec));
        }
        let pattern = Glob::new(names).map_err(|error| CliError::Usage(error.to_string()))?;
        let matcher = pattern.compile_matcher();
        let known = evoapprox::entries().iter().map(|entry| &entry.name);
        let known: Vec<&String> = known.filter(|name| matcher.is_match(name)).collect();
        if known.is_empty() {
            return Err(CliError::Usage(format!(
                "no multiplier of the library is called `{names}`; `burn-approx list` shows them"
            )));
        }
        for name in known {
            let multiplier = evoapprox::multiplier(name)?;
            multipliers.push(match signs {
                true => multiplier.sign_magnitude()?,
                false => multiplier,
            });
        }
    }
    Ok(multipliers)
}

/// What the name of an unsigned circuit ends with that is used by sign and magnitude.
const SIGN_MAGNITUDE: &str = ":sign-magnitude";

/// The multiplier of a SPEC that names no file.
fn named(spec: &str) -> Result<Multiplier, CliError> {
    let unknown = |error: &dyn std::fmt::Display| CliError::Usage(format!("`{spec}`: {error}"));
    let family = spec.split(':').next().unwrap_or_default();
    if family != "exact" && MultiplierFamily::NAMES.contains(&family) {
        let specification: FamilySpecification = spec.parse().map_err(|error| unknown(&error))?;
        return Ok(specification.multiplier()?);
    }
    match spec.parse::<MultiplierSource>() {
        Ok(source) => Ok(source.resolve()?),
        Err(_) if spec.contains(['/', '\\']) || Path::new(spec).extension().is_some() => {
            Err(CliError::Usage(format!("there is no file `{spec}`")))
        }
        Err(error) => Err(unknown(&error)),
    }
}

/// The bits of activation and weight: one number for both, or two.
fn bits(text: &str) -> Result<[u8; 2], String> {
    let (activation, weight) = text.split_once(',').unwrap_or((text, text));
    let possible = OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS;
    let number = |text: &str| {
        let bits = text.trim().parse().ok();
        bits.filter(|bits| possible.contains(bits)).ok_or_else(|| {
            let (least, most) = (possible.start(), possible.end());
            format!("`{text}` is no number of bits from {least} to {most}")
        })
    };
    Ok([number(activation)?, number(weight)?])
}

/// A time that is not too long for a clock.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("`{text}` is no number of seconds above 0, such as 300"))
}

/// A year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Memory in bytes, given in gibibytes: at least as much as a small program takes.
fn gibibytes(text: &str) -> Result<u64, String> {
    const LEAST: f64 = 1.0 / 64.0;
    let gibibytes = text.trim().parse().ok();
    gibibytes
        .filter(|gibibytes: &f64| (LEAST..=1e6).contains(gibibytes))
        .map(|gibibytes| (gibibytes * (1u64 << 30) as f64) as u64)
        .ok_or_else(|| format!("`{text}` is no number of gibibytes from {LEAST} on, such as 4"))
}

/// A range of codes, `LOW..=HIGH`.
pub fn code_range(text: &str) -> Result<std::ops::RangeInclusive<i32>, String> {
    let problem = || format!("`{text}` is not a range of codes such as -127..=127");
    let (low, high) = text.split_once("..=").ok_or_else(problem)?;
    let bound = |text: &str| text.trim().parse::<i32>().map_err(|_| problem());
    let (low, high) = (bound(low)?, bound(high)?);
    match low <= high {
        true => Ok(low..=high),
        false => Err(format!("the range {low}..={high} has no code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_name_is_resolved() {
        let output = Output::new(false);
        for spec in [
            "mul8s_1L2J",
            "mul8u_17C8:sign-magnitude",
            "htp:mul8s_1L2J",
            "exact",
            "exact:uint8,int8",
            "drum:k=6,bits=8,unsigned",
        ] {
            resolve(spec, &FileOptions::default(), output).unwrap();
        }
        let swapped = FileOptions {
            swap_operands: true,
            ..FileOptions::default()
        };
        let exact = resolve("exact:uint8,int4", &swapped, output).unwrap();
        assert_eq!((exact.activation().bits(), exact.weight().bits()), (4, 8));
    }

    #[test]
    fn other_names_are_usage_errors_that_help() {
        for (spec, expected) in [
            ("mul8s_1L2", "mul8s_1L2J"),
            ("missing.csv", "missing.csv"),
            ("folder/missing", "no file"),
            ("drum:k=99", "drum"),
            ("", "nearest"),
        ] {
            let error = resolve(spec, &FileOptions::default(), Output::new(false)).unwrap_err();
            assert!(error.to_string().contains(expected), "{spec}: {error}");
        }
        let unsigned = ProgramOptions {
            unsigned: true,
            ..ProgramOptions::default()
        }
        .as_file_options();
        assert!(resolve("exact", &unsigned, Output::new(false)).is_err());
    }

    #[test]
    fn bits_are_one_number_or_two() {
        assert_eq!(bits("8"), Ok([8, 8]));
        assert_eq!(bits("12, 4"), Ok([12, 4]));
        for wrong in ["", "1", "17", "8,", "8,8,8", "-8", "300"] {
            assert!(bits(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(gibibytes("4"), Ok(4 << 30));
        for wrong in ["", "0", "-1", "x", "inf", "nan", "1e300"] {
            assert!(
                seconds(wrong).is_err() && gibibytes(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_said_of_programs_is_not_said_of_names() {
        let options = ProgramOptions {
            unsigned: true,
            ..ProgramOptions::default()
        }
        .as_file_options();
        let specs = ["exact", "exec:mine"];
        let given = |spec: &str, all: &[&str]| options_for(spec, all, &options).given();
        assert_eq!(given("exact", &specs), None);
        assert_eq!(given("exec:mine", &specs), Some("--unsigned"));
        // Without any, it is a mistake, and said.
        assert_eq!(given("exact", &specs[..1]), Some("--unsigned"));
    }

    #[test]
    fn ranges_of_codes() {
        assert_eq!(code_range("-127..=127"), Ok(-127..=127));
        for wrong in ["", "1", "1..2", "a..=b", "5..=4", "..=4", "99999999999..=4"] {
            assert!(code_range(wrong).is_err(), "{wrong}");
        }
    }
}

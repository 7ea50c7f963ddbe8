use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use wharf_call::{Field, Flow, Function, Output, Schema};
use wharf_engine::{Inspection, Need};

use super::{Failed, InspectArgs, human_size, print, print_json};

/// A larger file is not read: no host takes it with its largest setting (`engine.component_bytes`).
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Shows what a component is.
pub(super) fn run(args: &InspectArgs) -> Result<(), Failed> {
    let bytes = read(&args.file)?;
    let file = args.file.display();
    let inspection = wharf_engine::inspect(&bytes).map_err(|refusal| {
        Failed::new(format!("{file} is not a component that can be inspected: {}", refusal.message))
    })?;
    if args.json {
        #[derive(Serialize)]
        struct WithFile<'a> {
            file: String,
            #[serde(flatten)]
            inspection: &'a Inspection,
        }
        return print_json(&WithFile { file: file.to_string(), inspection: &inspection });
    }
    print(&describe(&file.to_string(), &inspection))
}

/// The bytes of a component file, bounded.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            Err(Failed::new(format!("{} is larger than 1 GiB, which no component may be", path.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failed::new(format!("cannot read {}: {error}", path.display()))),
    }
}

fn describe(file: &str, inspection: &Inspection) -> String {
    let mut out = String::new();
    let Inspection { sha256, bytes, world, lifecycle, problem, exports, imports, wit, schema } = inspection;
    let _ = writeln!(out, "file     {file}");
    let _ = writeln!(out, "size     {} ({bytes} bytes)", human_size(*bytes));
    let _ = writeln!(out, "sha256   {sha256}");
    let hooks = if *lifecycle { ", with start, health and stop hooks" } else { "" };
    match (world, problem) {
        (_, Some(problem)) => drop(writeln!(out, "is       not runnable: {problem}")),
        (Some(world), None) => drop(writeln!(out, "is       {world}{hooks}")),
        (None, None) => drop(writeln!(out, "is       a component{hooks}")),
    }
    let _ = writeln!(out, "\nexports");
    for export in exports {
        let _ = writeln!(out, "  {export}");
    }
    if exports.is_empty() {
        let _ = writeln!(out, "  nothing");
    }
    let _ = writeln!(out, "\nimports");
    let width = imports.iter().map(|import| import.interface.len()).max().unwrap_or(0);
    for import in imports {
        let need = match &import.need {
            Need::Always => "always there".to_owned(),
            Need::Grant { section, line } => format!("needs in wharf.toml, in {section}: {line}"),
            Need::NotOffered => "not offered by this version of wharf".to_owned(),
        };
        let _ = writeln!(out, "  {:width$}  {need}", import.interface);
    }
    if imports.is_empty() {
        let _ = writeln!(out, "  nothing");
    }
    list_functions(&mut out, schema);
    let _ = write!(out, "\nwit\n");
    for line in wit.lines() {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    }
    out
}

/// What callers can call, as its WIT has it, with streams as they look to them.
fn list_functions(out: &mut String, schema: &Schema) {
    for interface in &schema.interfaces {
        let _ = writeln!(out, "\nfunctions of {}", interface.full_name());
        for function in &interface.functions {
            let _ = writeln!(out, "  {}", signature(schema, function));
            let summary = function.docs.summary();
            if !summary.is_empty() {
                let _ = writeln!(out, "      {summary}");
            }
            if let Some(version) = &function.docs.deprecated {
                let _ = writeln!(out, "      deprecated since {version}");
            }
        }
    }
}

/// `get-user(id: string) -> user, or failure`.
fn signature(schema: &Schema, function: &Function) -> String {
    let param = |param: &Field| format!("{}: {}", param.name, schema.show(&param.ty));
    let mut params: Vec<String> = function.params.iter().map(param).collect();
    params.extend(function.input.as_ref().map(|item| format!("stream of {}", schema.show(item))));
    let mut text = format!("{}({})", function.name, params.join(", "));
    match &function.output {
        Output::Nothing => {}
        Output::Value(ty) => drop(write!(text, " -> {}", schema.show(ty))),
        Output::Stream(item) => drop(write!(text, " -> stream of {}", schema.show(item))),
    }
    if let Some(error) = &function.error {
        let _ = write!(text, ", or {}", schema.show(error));
    }
    match function.flow() {
        Flow::Unary => {}
        Flow::ServerStream => text.push_str("  (the plugin streams)"),
        Flow::ClientStream => text.push_str("  (the caller streams)"),
        Flow::Bidirectional => text.push_str("  (both stream)"),
    }
    text
}

#[cfg(test)]
mod tests {
    use wharf_engine::ImportUse;

    use super::*;

    #[test]
    fn a_component_is_described_with_the_lines_that_it_needs() {
        let import = |interface: &str, need| ImportUse { interface: interface.into(), need };
        let inspection = Inspection {
            sha256: "ab".repeat(32),
            bytes: 2048,
            world: Some("wharf:plugin/handler@0.1.0".into()),
            lifecycle: true,
            problem: None,
            exports: vec!["wharf:plugin/handler@0.1.0".into()],
            imports: vec![
                import("wasi:io/streams@0.2.12", Need::Always),
                import(
                    "wasi:config/store@0.2.0",
                    Need::Grant { section: "[plugin.NAME]".into(), line: "config = {}".into() },
                ),
                import("acme:x/y", Need::NotOffered),
            ],
            wit: "package a:b;\n\nworld c {}\n".into(),
            schema: Default::default(),
        };
        let expected = format!(
            "file     n.wasm\nsize     2.0 KiB (2048 bytes)\nsha256   {}\n\
             is       wharf:plugin/handler@0.1.0, with start, health and stop hooks\n\n\
             exports\n  wharf:plugin/handler@0.1.0\n\n\
             imports\n  wasi:io/streams@0.2.12   always there\n\
             \x20 wasi:config/store@0.2.0  needs in wharf.toml, in [plugin.NAME]: config = {{}}\n\
             \x20 acme:x/y                 not offered by this version of wharf\n\n\
             wit\n  package a:b;\n\n  world c {{}}\n",
            "ab".repeat(32)
        );
        assert_eq!(describe("n.wasm", &inspection), expected);
    }

    #[test]
    fn functions_are_listed_with_their_streams_and_errors() {
        use wharf_call::{Docs, Interface, Package, Type};
        let function = |name: &str, input, output, error| Function {
            name: name.into(),
            docs: Docs::parse(&format!("What {name} does.\n\nMore.")),
            is_async: true,
            params: vec![Field { name: "id".into(), docs: Docs::default(), ty: Type::U32 }],
            input,
            output,
            error,
        };
        let schema = Schema {
            interfaces: vec![Interface {
                package: Package { namespace: "a".into(), name: "b".into(), version: None },
                name: "c".into(),
                docs: Docs::default(),
                functions: vec![
                    function("get", None, Output::Value(Type::String), Some(Type::Char)),
                    function("talk", Some(Type::String), Output::Stream(Type::Bytes(None)), None),
                ],
            }],
            types: Vec::new(),
        };
        let mut out = String::new();
        list_functions(&mut out, &schema);
        assert_eq!(
            out,
            "\nfunctions of a:b/c\n  get(id: u32) -> string, or char\n      What get does.\n  \
             talk(id: u32, stream of string) -> stream of list<u8>  (both stream)\n      What talk does.\n"
        );
    }
}

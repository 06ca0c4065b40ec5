//! The prescan: guesses what a module costs to compile before anything is done with it.
//!
//! Nothing here needs the module to be valid, and all of it takes time in proportion to its bytes. The guess
//! only chooses a jail, and saves starting a child for a hopeless module. The limits of the jail are what
//! protects.

use crate::value::Size;
use wasmparser::{CompositeInnerType, FunctionBody, Operator, Parser, Payload};

/// The deepest nesting of components within components; compilers make three.
const DEEPEST: usize = 100;
/// The least bytes of memory to compile a function. Measured: some 5.4 KB for each empty function.
const LEAST_PER_FUNCTION: u64 = 3 * 1024;
/// The least bytes of memory for each pair of a branch and a local. Measured: up to 825 bytes.
/// It is a fiftieth of that where few locals live long, as in the interpreters of Python and JavaScript.
const LEAST_PER_CROSSING: u64 = 16;
/// The most bytes of a module that looks cheap. Within this and the next four bounds, compiling takes well
/// under a second.
const CHEAP_BYTES: u64 = 1 << 20;
const CHEAP_FUNCTIONS: u64 = 5_000;
const CHEAP_CROSSINGS: u64 = 200_000;
const CHEAP_CROSSINGS_OF_ALL: u64 = 5_000_000;
const CHEAP_ELEMENTS: u64 = 100_000;

/// The numbers about a module from which the cost of compiling it is guessed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    bytes: u64,
    /// How many functions have a body.
    functions: u64,
    /// The most pairs of a local and a branch in one function, which the compiler has to carry along.
    worst: u64,
    /// The pairs of a local and a branch in all functions together.
    all: u64,
    /// How many elements the tables have.
    elements: u64,
}

/// What has been read of a core module or component that has not ended yet.
#[derive(Default)]
struct Open {
    /// The number of parameters of each type; zero for a type that is not a function's.
    types: Vec<u64>,
    /// The index of the type of each function with a body.
    functions: Vec<u32>,
    /// How many bodies of functions have been read.
    bodies: usize,
}

impl Shape {
    /// Reads a component, or says what is wrong with it.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut shape = Self { bytes: bytes.len() as u64, ..Self::default() };
        let mut open: Vec<Open> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            shape.add(payload, &mut open).map_err(|error| format!("does not compile: {error}"))?;
            if open.len() > DEEPEST {
                return Err(format!("has components within components, more than {DEEPEST} deep"));
            }
        }
        Ok(shape)
    }

    /// Whether it is worth trying to compile the module with little memory and time.
    pub(super) fn looks_cheap(&self) -> bool {
        self.bytes <= CHEAP_BYTES
            && self.functions <= CHEAP_FUNCTIONS
            && self.worst <= CHEAP_CROSSINGS
            && self.all <= CHEAP_CROSSINGS_OF_ALL
            && self.elements <= CHEAP_ELEMENTS
    }

    /// Refuses a module that cannot be compiled within this much memory by far.
    pub(super) fn require_within(&self, memory: Size) -> Result<(), String> {
        let needed = self
            .functions
            .saturating_mul(LEAST_PER_FUNCTION)
            .max(self.worst.saturating_mul(LEAST_PER_CROSSING));
        if needed <= memory.get() {
            return Ok(());
        }
        Err(format!(
            "has {} functions and up to {} pairs of a branch and a local in one of them: that needs more than {memory} \
             of memory to compile; --compile-memory raises that",
            self.functions, self.worst
        ))
    }

    fn add(
        &mut self,
        payload: wasmparser::Result<Payload<'_>>,
        open: &mut Vec<Open>,
    ) -> wasmparser::Result<()> {
        let payload = payload?;
        if let Payload::Version { .. } = payload {
            open.push(Open::default());
        }
        let Some(current) = open.last_mut() else { return Ok(()) };
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    current.types.extend(group?.types().map(|kind| match &kind.composite_type.inner {
                        CompositeInnerType::Func(function) => function.params().len() as u64,
                        _ => 0,
                    }));
                }
            }
            Payload::FunctionSection(functions) => {
                for function in functions {
                    current.functions.push(function?);
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.elements += match element?.items {
                        wasmparser::ElementItems::Functions(items) => u64::from(items.count()),
                        wasmparser::ElementItems::Expressions(_, items) => u64::from(items.count()),
                    };
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.elements = self.elements.saturating_add(table?.ty.initial);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let kind = current.functions.get(current.bodies).copied().unwrap_or_default();
                let parameters = current.types.get(kind as usize).copied().unwrap_or_default();
                current.bodies += 1;
                self.functions += 1;
                let crossings =
                    locals(&body)?.saturating_add(parameters).saturating_mul(1 + branches(&body)?);
                self.all = self.all.saturating_add(crossings);
                self.worst = self.worst.max(crossings);
            }
            Payload::End(_) => {
                open.pop();
            }
            _ => {}
        }
        Ok(())
    }
}

fn locals(body: &FunctionBody<'_>) -> wasmparser::Result<u64> {
    body.get_locals_reader()?.into_iter().map(|group| Ok(u64::from(group?.0))).sum()
}

/// The number of branches of a function: places where paths part or meet.
fn branches(body: &FunctionBody<'_>) -> wasmparser::Result<u64> {
    let mut operators = body.get_operators_reader()?;
    let mut count = 0;
    while !operators.eof() {
        count += match operators.read()? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => 1 + u64::from(targets.len()),
            _ => 0,
        };
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        BlockType, CodeSection, Component, Function, FunctionSection, Instruction, Module, ModuleSection,
        TypeSection, ValType,
    };

    const MEMORY: Size = Size::mebibytes(512);

    /// A component with these functions, all of a type with three parameters.
    fn component(bodies: &[Function]) -> Vec<u8> {
        let (mut types, mut functions, mut code) =
            (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        types.ty().function([ValType::I32; 3], []);
        for body in bodies {
            functions.function(1);
            code.function(body);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&code);
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component.finish()
    }

    fn body(locals: u32, instructions: &[Instruction<'_>]) -> Function {
        let mut body = Function::new([(locals, ValType::I32)]);
        instructions.iter().chain([&Instruction::End]).for_each(|instruction| {
            body.instruction(instruction);
        });
        body
    }

    #[test]
    fn functions_branches_and_locals_with_parameters_are_counted() {
        let table = Instruction::BrTable(vec![0, 0, 0].into(), 0);
        let branches =
            [Instruction::Block(BlockType::Empty), Instruction::I32Const(0), table, Instruction::End];
        let bytes = component(&[body(0, &[]), body(7, &branches), body(1, &branches)]);
        let shape = Shape::of(&bytes).expect("a component");
        let (worst, all) = ((7 + 3) * (1 + 5), 3 + (7 + 3) * (1 + 5) + (1 + 3) * (1 + 5));
        let expected = Shape { bytes: bytes.len() as u64, functions: 3, worst, all, elements: 0 };
        assert_eq!(shape, expected);
        assert!(shape.looks_cheap() && shape.require_within(MEMORY).is_ok());
    }

    #[test]
    fn a_function_of_many_branches_and_locals_is_not_cheap() {
        let branches = vec![[Instruction::Loop(BlockType::Empty), Instruction::End]; 2_000].concat();
        let shape = Shape::of(&component(&[body(500, &branches)])).expect("a component");
        assert!(!shape.looks_cheap() && shape.require_within(MEMORY).is_ok());
    }

    #[test]
    fn locals_count_in_functions_without_branches_as_well() {
        let shape = Shape::of(&component(&vec![body(50_000, &[]); 200])).expect("a component");
        assert!(!shape.looks_cheap());
    }

    #[test]
    fn what_is_hopeless_names_the_limit_to_raise() {
        let shape = Shape::of(&component(&vec![body(0, &[]); 170_000])).expect("a component");
        assert!(!shape.looks_cheap());
        let refusal = shape.require_within(Size::mebibytes(256)).expect_err("too much");
        assert!(refusal.contains("170000 functions") && refusal.contains("--compile-memory"), "{refusal}");
        assert!(shape.require_within(Size::mebibytes(1024)).is_ok());
    }

    #[test]
    fn components_are_not_nested_without_end() {
        let mut bytes = Component::new().finish();
        for _ in 0..=DEEPEST {
            let mut outer = Component::new();
            outer.section(&wasm_encoder::RawSection { id: 4, data: &bytes });
            bytes = outer.finish();
        }
        assert!(Shape::of(&bytes).expect_err("too deep").contains("within components"));
    }

    #[test]
    fn rubbish_and_cut_off_modules_are_refused() {
        let bytes = component(&[body(0, &[]), body(3, &[Instruction::Nop])]);
        assert!(Shape::of(&bytes[..bytes.len() - 1]).is_err());
        assert!(Shape::of(&bytes[..20]).is_err());
        assert!(Shape::of(b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\x0f").is_err());
    }
}

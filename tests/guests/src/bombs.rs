//! Small modules that cost much to compile, all of them valid.

use wasm_encoder::{
    Alias, BlockType, CodeSection, Component, ComponentAliasSection, ComponentExportKind,
    ComponentInstanceSection, ComponentOuterAliasKind, ConstExpr, Function, FunctionSection, GlobalSection,
    GlobalType, InstanceSection, Instruction, Module, ModuleArg, ModuleSection, NestedComponentSection,
    RefType, TableSection, TableType, TypeSection, ValType,
};

const NO_MODULES: [(&str, ModuleArg); 0] = [];
const NOTHING: [(&str, ComponentExportKind, u32); 0] = [];

/// A module with this many functions without anything in them.
pub fn many_functions(count: usize) -> Vec<u8> {
    component(&vec![function(0, &[]); count])
}

/// A module with loops one after the other, over locals that live throughout.
pub fn loops(count: usize, locals: u32) -> Vec<u8> {
    let one = [
        Instruction::Loop(BlockType::Empty),
        Instruction::LocalGet(0),
        Instruction::BrIf(0),
        Instruction::End,
    ];
    component(&[function(locals, &[set_all(locals), vec![one; count].concat(), get_all(locals)].concat())])
}

/// A module with nested blocks, a table of branches that leads out of each, and locals that differ by the way
/// taken.
pub fn nested_tables(depth: u32, locals: u32) -> Vec<u8> {
    let open = vec![Instruction::Block(BlockType::Empty); depth as usize];
    let targets: Vec<u32> = (0..depth).collect();
    let table = [Instruction::LocalGet(0), Instruction::BrTable(targets.into(), 0)];
    let step = |local| [Instruction::LocalGet(local), Instruction::I32Eqz, Instruction::LocalSet(local)];
    let close = |number| [&[Instruction::End][..], &step(number % locals)].concat();
    let close: Vec<_> = (0..depth).flat_map(close).collect();
    component(&[function(locals, &[set_all(locals), open, table.to_vec(), close, get_all(locals)].concat())])
}

/// A module with nested blocks, each of which may be left from the innermost.
pub fn deep_blocks(depth: u32) -> Vec<u8> {
    let open = vec![Instruction::Block(BlockType::Empty); depth as usize];
    let leave: Vec<_> =
        (0..depth).flat_map(|number| [Instruction::LocalGet(0), Instruction::BrIf(number)]).collect();
    let close = vec![Instruction::End; depth as usize];
    component(&[function(1, &[open, leave, close].concat())])
}

/// A module with this many functions, each with as many locals as there may be.
pub fn many_locals(functions: usize) -> Vec<u8> {
    component(&vec![function(50_000, &[]); functions])
}

/// A component with one instance, one with two of it, one with two of that, and so on.
pub fn doubled_instances(times: u32) -> Vec<u8> {
    let mut instances = InstanceSection::new();
    instances.instantiate(0, NO_MODULES);
    let mut one = Component::new();
    one.section(&ModuleSection(&Module::new())).section(&instances);
    let mut all = Component::new();
    all.section(&NestedComponentSection(&one));
    for number in 0..times {
        let (kind, count, index) = (ComponentOuterAliasKind::Component, 1, number);
        let mut former = ComponentAliasSection::new();
        former.alias(Alias::Outer { kind, count, index });
        let mut two = Component::new();
        two.section(&former).section(&instances_of(0, 2));
        all.section(&NestedComponentSection(&two));
    }
    all.section(&instances_of(times, 1));
    all.finish()
}

/// A module with a table that no live guest may have.
pub fn large_table() -> Vec<u8> {
    let (element_type, minimum) = (RefType::FUNCREF, 30_000);
    let mut tables = TableSection::new();
    tables.table(TableType { element_type, table64: false, minimum, maximum: None, shared: false });
    let mut module = Module::new();
    module.section(&tables);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

/// A module with this many globals, which the host holds for each guest.
pub fn many_globals(count: usize) -> Vec<u8> {
    let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    let mut globals = GlobalSection::new();
    for _ in 0..count {
        globals.global(kind, &ConstExpr::i32_const(0));
    }
    let mut module = Module::new();
    module.section(&globals);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

fn instances_of(component: u32, count: usize) -> ComponentInstanceSection {
    let mut instances = ComponentInstanceSection::new();
    for _ in 0..count {
        instances.instantiate(component, NOTHING);
    }
    instances
}

fn set_all(locals: u32) -> Vec<Instruction<'static>> {
    (0..locals).flat_map(|local| [Instruction::I32Const(1), Instruction::LocalSet(local)]).collect()
}

fn get_all(locals: u32) -> Vec<Instruction<'static>> {
    (0..locals).flat_map(|local| [Instruction::LocalGet(local), Instruction::Drop]).collect()
}

fn function(locals: u32, instructions: &[Instruction<'_>]) -> Function {
    let mut function = Function::new([(locals, ValType::I32)]);
    instructions.iter().chain([&Instruction::End]).for_each(|instruction| {
        function.instruction(instruction);
    });
    function
}

fn component(bodies: &[Function]) -> Vec<u8> {
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    for body in bodies {
        functions.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

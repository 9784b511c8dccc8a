//! A straight-line program for some outputs of a [`Graph`]: every common subexpression once, on few registers, eight paths (or
//! several times eight) to an instruction.

use super::graph::{Graph, Id, Operation, Unary};
use crate::real::Real;
use std::collections::HashMap;

/// The place of a number that lives while the program runs.
type Register = u32;

/// One operation: the result goes to the first register.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instruction {
    Constant(Register, f64),
    Add(Register, Register, Register),
    Subtract(Register, Register, Register),
    Multiply(Register, Register, Register),
    Divide(Register, Register, Register),
    Square(Register, Register),
    /// k + a.
    Shift(Register, f64, Register),
    /// k − a.
    Mirror(Register, f64, Register),
    /// k·a.
    Scale(Register, f64, Register),
    /// k/a.
    Invert(Register, f64, Register),
    /// a·b + c.
    MultiplyAdd(Register, Register, Register, Register),
    /// a·b − c.
    MultiplySubtract(Register, Register, Register, Register),
    /// c − a·b.
    SubtractProduct(Register, Register, Register, Register),
    /// a·b + k.
    MultiplyShift(Register, Register, Register, f64),
    /// k − a·b.
    MirrorProduct(Register, Register, Register, f64),
    /// k·a + b.
    ScaleAdd(Register, f64, Register, Register),
    Negate(Register, Register),
    Exp(Register, Register),
    Log(Register, Register),
    Sqrt(Register, Register),
    Sin(Register, Register),
    Cos(Register, Register),
    Tanh(Register, Register),
    Sigmoid(Register, Register),
    Softplus(Register, Register),
}

/// Where an output is when the program has run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Output {
    Register(u32),
    Constant(f64),
}

/// A program from inputs to outputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tape {
    /// Inputs that are used, and the registers that they start in.
    loads: Vec<(u32, Register)>,
    code: Vec<Instruction>,
    outputs: Vec<Output>,
    registers: usize,
}

impl Tape {
    /// The program for `outputs`; what they do not need is left out.
    pub(super) fn new(graph: &Graph, outputs: &[Id]) -> Tape {
        Compiler::new(graph, outputs).compile(outputs)
    }

    pub fn registers(&self) -> usize {
        self.registers
    }

    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The outputs from the one of index `first`, where they are the same for all inputs.
    pub fn constants_from(&self, first: usize) -> Option<Vec<f64>> {
        self.outputs[first..]
            .iter()
            .map(|output| match *output {
                Output::Constant(c) => Some(c),
                Output::Register(_) => None,
            })
            .collect()
    }

    /// Whether all outputs are 0 for all inputs.
    pub fn vanishes(&self) -> bool {
        let zero = |output: &Output| matches!(output, Output::Constant(0.0));
        self.outputs.iter().all(zero)
    }

    /// Runs the program on `G` sets of inputs: `input(i, j)` is input i of set j. The outputs are then in `registers` (at
    /// least as many as [`Tape::registers`]).
    #[inline(always)]
    pub fn run<R: Real, const G: usize>(
        &self,
        registers: &mut [[R; G]],
        input: impl Fn(usize, usize) -> R,
    ) {
        for &(from, to) in &self.loads {
            for (j, register) in registers[to as usize].iter_mut().enumerate() {
                *register = input(from as usize, j);
            }
        }
        interpret(&self.code, registers);
    }

    /// Runs the program once and hands every output to `output`. Does not allocate up to 4096 registers.
    #[inline(always)]
    pub fn evaluate<R: Real>(&self, input: impl Fn(usize) -> R, output: impl FnMut(usize, R)) {
        match self.registers {
            0..=8 => self.evaluate_on(&mut [[R::constant(0.0)]; 8], input, output),
            9..=32 => self.evaluate_within::<R, 32>(input, output),
            33..=128 => self.evaluate_within::<R, 128>(input, output),
            129..=512 => self.evaluate_within::<R, 512>(input, output),
            513..=4096 => self.evaluate_within::<R, 4096>(input, output),
            more => self.evaluate_on(&mut vec![[R::constant(0.0)]; more], input, output),
        }
    }

    /// Not inlined: the registers would make room on the stack, and touch every page of it, for small programs too.
    #[inline(never)]
    fn evaluate_within<R: Real, const N: usize>(
        &self,
        input: impl Fn(usize) -> R,
        output: impl FnMut(usize, R),
    ) {
        self.evaluate_on(&mut [[R::constant(0.0)]; N], input, output);
    }

    #[inline(always)]
    fn evaluate_on<R: Real>(
        &self,
        registers: &mut [[R; 1]],
        input: impl Fn(usize) -> R,
        mut output: impl FnMut(usize, R),
    ) {
        self.run(registers, |i, _| input(i));
        for (i, place) in self.outputs.iter().enumerate() {
            output(
                i,
                match *place {
                    Output::Register(r) => registers[r as usize][0],
                    Output::Constant(c) => R::constant(c),
                },
            );
        }
    }

    /// The only output.
    #[inline(always)]
    pub fn number<R: Real>(&self, input: impl Fn(usize) -> R) -> R {
        let mut value = R::constant(0.0);
        self.evaluate(input, |_, v| value = v);
        value
    }
}

/// The loop over the instructions. Every operation is on all sets at once, so that the price of reading an instruction is
/// shared, and the latency of one set is hidden behind the others.
#[inline(never)]
fn interpret<R: Real, const G: usize>(code: &[Instruction], r: &mut [[R; G]]) {
    use Instruction::*;
    // The result may take the place of an operand: set by set, that is read before.
    macro_rules! set {
        ($to:expr, |$j:ident| $value:expr) => {
            for $j in 0..G {
                let result = $value;
                r[$to as usize][$j] = result;
            }
        };
    }
    macro_rules! at {
        ($from:expr, $j:expr) => {
            r[$from as usize][$j]
        };
    }
    for instruction in code {
        match *instruction {
            Constant(to, k) => set!(to, |_j| R::constant(k)),
            Add(to, a, b) => set!(to, |j| at!(a, j) + at!(b, j)),
            Subtract(to, a, b) => set!(to, |j| at!(a, j) - at!(b, j)),
            Multiply(to, a, b) => set!(to, |j| at!(a, j) * at!(b, j)),
            Divide(to, a, b) => set!(to, |j| at!(a, j) / at!(b, j)),
            Square(to, a) => set!(to, |j| at!(a, j) * at!(a, j)),
            Shift(to, k, a) => set!(to, |j| R::constant(k) + at!(a, j)),
            Mirror(to, k, a) => set!(to, |j| R::constant(k) - at!(a, j)),
            Scale(to, k, a) => set!(to, |j| R::constant(k) * at!(a, j)),
            Invert(to, k, a) => set!(to, |j| R::constant(k) / at!(a, j)),
            MultiplyAdd(to, a, b, c) => set!(to, |j| at!(a, j).mul_add(at!(b, j), at!(c, j))),
            MultiplySubtract(to, a, b, c) => {
                set!(to, |j| at!(a, j).mul_add(at!(b, j), -at!(c, j)))
            }
            SubtractProduct(to, a, b, c) => {
                set!(to, |j| (-at!(a, j)).mul_add(at!(b, j), at!(c, j)))
            }
            MultiplyShift(to, a, b, k) => {
                set!(to, |j| at!(a, j).mul_add(at!(b, j), R::constant(k)))
            }
            MirrorProduct(to, a, b, k) => {
                set!(to, |j| (-at!(a, j)).mul_add(at!(b, j), R::constant(k)))
            }
            ScaleAdd(to, k, a, b) => set!(to, |j| at!(a, j).mul_add(R::constant(k), at!(b, j))),
            Negate(to, a) => set!(to, |j| -at!(a, j)),
            Exp(to, a) => set!(to, |j| at!(a, j).exp()),
            Log(to, a) => set!(to, |j| at!(a, j).ln()),
            Sqrt(to, a) => set!(to, |j| at!(a, j).sqrt()),
            Sin(to, a) => set!(to, |j| at!(a, j).sin()),
            Cos(to, a) => set!(to, |j| at!(a, j).cos()),
            Tanh(to, a) => set!(to, |j| at!(a, j).tanh()),
            Sigmoid(to, a) => set!(to, |j| at!(a, j).sigmoid()),
            Softplus(to, a) => set!(to, |j| at!(a, j).softplus()),
        }
    }
}

/// What an instruction reads from registers: up to three nodes.
type Operands = [Option<Id>; 3];

struct Compiler<'a> {
    graph: &'a Graph,
    /// How often a node is read, outputs included.
    uses: Vec<u32>,
    /// Nodes that are computed inside the instruction of another.
    fused: Vec<bool>,
    /// Numbers that need a register of their own.
    registers: HashMap<Id, Register>,
    free: Vec<Register>,
    count: u32,
    /// Reads that are left until a register is free again.
    pending: Vec<u32>,
}

impl<'a> Compiler<'a> {
    fn new(graph: &'a Graph, outputs: &[Id]) -> Compiler<'a> {
        let mut uses = vec![0u32; graph.len()];
        for &id in outputs {
            uses[id.0 as usize] += 1;
        }
        for k in (0..graph.len()).rev() {
            if uses[k] > 0 {
                for operand in operands(graph.operation(Id(k as u32)))
                    .into_iter()
                    .flatten()
                {
                    uses[operand.0 as usize] += 1;
                }
            }
        }
        Compiler {
            graph,
            fused: vec![false; graph.len()],
            pending: vec![0; graph.len()],
            uses,
            registers: HashMap::new(),
            free: vec![],
            count: 0,
        }
    }

    fn compile(mut self, outputs: &[Id]) -> Tape {
        let live: Vec<Id> = (0..self.graph.len() as u32)
            .map(Id)
            .filter(|id| self.uses[id.0 as usize] > 0)
            .collect();
        for &id in &live {
            if let Some(product) = self.fusable(id) {
                self.fused[product.0 as usize] = true;
            }
        }
        // Reads of each node by the instructions that will be there.
        for &id in &live {
            if !self.fused[id.0 as usize] {
                for operand in self.reads(id).into_iter().flatten() {
                    self.pending[operand.0 as usize] += 1;
                }
            }
        }
        for &id in outputs {
            // Outputs are never overwritten.
            if self.graph.number(id).is_none() {
                self.pending[id.0 as usize] = u32::MAX / 2;
            }
        }
        let mut loads = vec![];
        for &id in &live {
            if let Operation::Input(i) = self.graph.operation(id) {
                loads.push((i, self.take(id)));
            }
        }
        let mut code = vec![];
        for &id in &live {
            if self.fused[id.0 as usize] {
                continue;
            }
            match self.graph.operation(id) {
                Operation::Input(_) => (),
                Operation::Constant(bits) => {
                    // Only where an instruction has no place for a number.
                    if self.pending[id.0 as usize] > 0 {
                        let to = self.take(id);
                        code.push(Instruction::Constant(to, f64::from_bits(bits)));
                    }
                }
                _ => {
                    let instruction = self.instruction(id);
                    code.push(instruction);
                }
            }
        }
        let outputs = outputs
            .iter()
            .map(|id| match self.graph.number(*id) {
                Some(c) => Output::Constant(c),
                None => Output::Register(self.register(*id)),
            })
            .collect();
        Tape {
            loads,
            code,
            outputs,
            registers: self.count as usize,
        }
    }

    /// The product that is computed together with the sum or difference that reads it, and nobody else.
    fn fusable(&self, id: Id) -> Option<Id> {
        let (a, b) = match self.graph.operation(id) {
            Operation::Add(a, b) | Operation::Subtract(a, b) => (a, b),
            _ => return None,
        };
        let single = |id: Id| {
            matches!(self.graph.operation(id), Operation::Multiply(..))
                && self.uses[id.0 as usize] == 1
                && a != b
        };
        // k·a + b has an instruction, k·a − b and b − k·a have not.
        let scaled = |id: Id| match self.graph.operation(id) {
            Operation::Multiply(k, _) => self.graph.number(k).is_some(),
            _ => false,
        };
        let sum = matches!(self.graph.operation(id), Operation::Add(..));
        [b, a].into_iter().find(|&p| {
            let other = if p == b { a } else { b };
            single(p) && (!scaled(p) || (sum && self.graph.number(other).is_none()))
        })
    }

    /// The nodes that the instruction of a node reads from registers.
    fn reads(&self, id: Id) -> Operands {
        let register = |id: Id| self.graph.number(id).is_none().then_some(id);
        let operation = self.graph.operation(id);
        if let Some(product) = self.fusable(id) {
            let (Operation::Add(a, b) | Operation::Subtract(a, b)) = operation else {
                return [None; 3];
            };
            let other = if product == b { a } else { b };
            if let Operation::Multiply(x, y) = self.graph.operation(product) {
                return [register(x), register(y), register(other)];
            }
        }
        match operation {
            // The one division by a number that is left, that by a tiny one.
            Operation::Divide(a, b) if self.graph.number(b).is_some() => [Some(a), Some(b), None],
            _ => operands(operation).map(|o| o.and_then(register)),
        }
    }

    fn take(&mut self, id: Id) -> Register {
        let register = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.registers.insert(id, register);
        register
    }

    fn register(&self, id: Id) -> Register {
        self.registers.get(&id).copied().unwrap_or_default()
    }

    fn instruction(&mut self, id: Id) -> Instruction {
        use Instruction as I;
        let graph = self.graph;
        let operation = graph.operation(id);
        let reads = self.reads(id);
        let at: HashMap<Id, Register> = reads
            .iter()
            .flatten()
            .map(|&o| (o, self.register(o)))
            .collect();
        for operand in reads.into_iter().flatten() {
            let left = &mut self.pending[operand.0 as usize];
            *left -= 1;
            if *left == 0 {
                self.free.push(self.register(operand));
            }
        }
        let fusable = self.fusable(id);
        let to = self.take(id);
        let r = |id: Id| at.get(&id).copied().unwrap_or_default();
        let number = |id: Id| graph.number(id);
        if let (Some(product), Operation::Add(a, b) | Operation::Subtract(a, b)) =
            (fusable, operation)
            && let Operation::Multiply(x, y) = graph.operation(product)
        {
            let other = if product == b { a } else { b };
            let sum = matches!(operation, Operation::Add(..));
            return match (sum, number(other), number(x)) {
                (true, None, Some(k)) => I::ScaleAdd(to, k, r(y), r(other)),
                (true, Some(k), _) => I::MultiplyShift(to, r(x), r(y), k),
                (true, None, None) => I::MultiplyAdd(to, r(x), r(y), r(other)),
                (false, Some(k), _) => I::MirrorProduct(to, r(x), r(y), k),
                (false, None, _) if product == a => I::MultiplySubtract(to, r(x), r(y), r(other)),
                (false, None, _) => I::SubtractProduct(to, r(x), r(y), r(other)),
            };
        }
        match operation {
            Operation::Add(a, b) => match number(a) {
                Some(k) => I::Shift(to, k, r(b)),
                None => I::Add(to, r(a), r(b)),
            },
            Operation::Subtract(a, b) => match number(a) {
                Some(k) => I::Mirror(to, k, r(b)),
                None => I::Subtract(to, r(a), r(b)),
            },
            Operation::Multiply(a, b) if a == b => I::Square(to, r(a)),
            Operation::Multiply(a, b) => match number(a) {
                Some(k) => I::Scale(to, k, r(b)),
                None => I::Multiply(to, r(a), r(b)),
            },
            Operation::Divide(a, b) => match number(a) {
                Some(k) => I::Invert(to, k, r(b)),
                None => I::Divide(to, r(a), r(b)),
            },
            Operation::Unary(function, a) => match function {
                Unary::Negate => I::Negate(to, r(a)),
                Unary::Exp => I::Exp(to, r(a)),
                Unary::Log => I::Log(to, r(a)),
                Unary::Sqrt => I::Sqrt(to, r(a)),
                Unary::Sin => I::Sin(to, r(a)),
                Unary::Cos => I::Cos(to, r(a)),
                Unary::Tanh => I::Tanh(to, r(a)),
                Unary::Sigmoid => I::Sigmoid(to, r(a)),
                Unary::Softplus => I::Softplus(to, r(a)),
            },
            // Inputs and numbers have no instruction here.
            Operation::Constant(bits) => I::Constant(to, f64::from_bits(bits)),
            Operation::Input(_) => I::Constant(to, 0.0),
        }
    }
}

fn operands(operation: Operation) -> Operands {
    match operation {
        Operation::Constant(_) | Operation::Input(_) => [None; 3],
        Operation::Unary(_, a) => [Some(a), None, None],
        Operation::Add(a, b)
        | Operation::Subtract(a, b)
        | Operation::Multiply(a, b)
        | Operation::Divide(a, b) => [Some(a), Some(b), None],
    }
}

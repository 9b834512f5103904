//! What the readers' tests share: circuits as functions of numbers.

use crate::Netlist;

/// The value of the only output port for these values of the input ports, of which the lowest bits are taken.
pub(crate) fn computed(netlist: &Netlist, values: &[i64]) -> i64 {
    assert_eq!(netlist.inputs().len(), values.len());
    let mut combination = 0;
    let mut position = 0;
    for (port, &value) in netlist.inputs().iter().zip(values) {
        let mask = u64::MAX >> (64 - port.width);
        combination |= (value.cast_unsigned() & mask) << position;
        position += port.width;
    }
    let [output] = netlist.outputs() else {
        panic!("{:?} is not one output", netlist.outputs());
    };
    let unused = 64 - output.width;
    let bits = netlist.circuit().evaluate(combination).unwrap() << unused;
    match output.signed {
        true => bits.cast_signed() >> unused,
        false => (bits >> unused).cast_signed(),
    }
}

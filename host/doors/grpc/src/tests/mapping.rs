//! Every value survives the door, and a stock implementation of protobuf reads and writes the same.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::FileDescriptorSet;
use wharf_call::Value;

use super::plan_of;
use super::random::{Dice, schema, shown, value};
use crate::builtin::empty_file;
use crate::decode::decode;
use crate::encode::{encode, encode_fields};
use crate::plan::Plan;

/// The plan's descriptors, checked and linked by `prost-reflect`.
pub(super) fn pool(plan: &Plan) -> DescriptorPool {
    let file = std::iter::once(empty_file()).chain(plan.files.iter().cloned()).collect();
    DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file }).unwrap()
}

#[test]
fn ten_thousand_values_of_random_types_are_the_same_after_the_wire_and_after_a_stock_implementation() {
    let mut dice = Dice(5);
    let mut values = 0;
    while values < 12_000 {
        let schema = schema(&mut dice);
        let plan = plan_of(&schema);
        let pool = pool(&plan);
        for method in &plan.methods {
            let (_, function) =
                schema.functions().map(|(_, i, f)| (i, f)).nth(method.function as usize).unwrap();
            let service = pool.get_service_by_name(&plan.services[method.interface]).unwrap();
            let described = service.methods().nth(method.function as usize).unwrap();
            for _ in 0..25 {
                values += 1;
                let sent = value(&mut dice, &schema, &function.params[0].ty);
                assert!(schema.admits(&function.params[0].ty, &sent));
                let args = [sent.clone(), Value::Bool(true)];
                let said = || format!("{:?} of {:?}", shown(&sent), function.params[0].ty);

                let mut wire = Vec::new();
                encode_fields(&plan, &method.request, &args, &mut wire).unwrap();
                let ours = decode(&plan, &method.request, &Bytes::from(wire.clone()), u64::MAX)
                    .unwrap_or_else(|error| panic!("{error}: {}", said()));
                assert_eq!(shown(&ours[0]), shown(&sent));
                assert_eq!(ours[1], Value::Bool(true));

                let stock = DynamicMessage::decode(described.input(), &wire[..]).unwrap();
                assert_eq!(stock.unknown_fields().count(), 0, "{}", said());
                let again = Bytes::from(stock.encode_to_vec());
                let theirs = decode(&plan, &method.request, &again, u64::MAX)
                    .unwrap_or_else(|error| panic!("{error}: {}", said()));
                // It takes minus zero for the zero that need not be sent, which ours does not.
                let unsigned = |value| shown(value).replace("-0.0", "0.0");
                assert_eq!(unsigned(&theirs[0]), unsigned(&sent));

                let mut answer = Vec::new();
                encode(&plan, method.result.as_ref(), Some(&sent), usize::MAX, &mut answer).unwrap();
                let stock = DynamicMessage::decode(described.output(), &answer[..]).unwrap();
                assert_eq!(stock.unknown_fields().count(), 0, "{}", said());
            }
        }
    }
}

/**
 * The messages of the ONNX format that an importer needs, as a protobufjs reflection descriptor: names and field
 * numbers are those of the format, everything else is left out (unknown fields are skipped on decoding). As data in
 * a module it needs no `.proto` file beside the program and no parser at run time.
 */

type Field = readonly [id: number, type: string];

/** A message of optional fields; a type that starts with `*` is repeated. */
const message = (fields: Record<string, Field>, nested?: Record<string, object>) => ({
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, [id, type]]) => [
      name,
      type.startsWith('*') ? { id, rule: 'repeated', type: type.slice(1) } : { id, type },
    ]),
  ),
  ...(nested && { nested }),
});

/** The messages and fields of `onnx.proto` that are read, by their numbers. */
export const onnxDescriptor = {
  nested: {
    ModelProto: message({
      irVersion: [1, 'int64'],
      producerName: [2, 'string'],
      graph: [7, 'GraphProto'],
      opsetImport: [8, '*OperatorSetIdProto'],
      metadataProps: [14, '*StringStringEntryProto'],
    }),
    StringStringEntryProto: message({ key: [1, 'string'], value: [2, 'string'] }),
    OperatorSetIdProto: message({ domain: [1, 'string'], version: [2, 'int64'] }),
    GraphProto: message({
      node: [1, '*NodeProto'],
      name: [2, 'string'],
      initializer: [5, '*TensorProto'],
      input: [11, '*ValueInfoProto'],
      output: [12, '*ValueInfoProto'],
      valueInfo: [13, '*ValueInfoProto'],
    }),
    NodeProto: message({
      input: [1, '*string'],
      output: [2, '*string'],
      name: [3, 'string'],
      opType: [4, 'string'],
      attribute: [5, '*AttributeProto'],
      domain: [7, 'string'],
    }),
    AttributeProto: message({
      name: [1, 'string'],
      f: [2, 'float'],
      i: [3, 'int64'],
      s: [4, 'bytes'],
      t: [5, 'TensorProto'],
      floats: [7, '*float'],
      ints: [8, '*int64'],
      strings: [9, '*bytes'],
      type: [20, 'int32'],
      refAttrName: [21, 'string'],
    }),
    TensorProto: message({
      dims: [1, '*int64'],
      dataType: [2, 'int32'],
      floatData: [4, '*float'],
      int32Data: [5, '*int32'],
      int64Data: [7, '*int64'],
      name: [8, 'string'],
      rawData: [9, 'bytes'],
      doubleData: [10, '*double'],
      externalData: [13, '*StringStringEntryProto'],
      dataLocation: [14, 'int32'],
    }),
    ValueInfoProto: message({ name: [1, 'string'], type: [2, 'TypeProto'] }),
    TypeProto: message(
      { tensorType: [1, 'Tensor'] },
      { Tensor: message({ elemType: [1, 'int32'], shape: [2, 'TensorShapeProto'] }) },
    ),
    TensorShapeProto: message(
      { dim: [1, '*Dimension'] },
      { Dimension: message({ dimValue: [1, 'int64'], dimParam: [2, 'string'] }) },
    ),
  },
};

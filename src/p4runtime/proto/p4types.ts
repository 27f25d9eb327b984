/** Types of P4 programs as P4Info names them: package `p4.config.v1`, names and numbers of the standard. */
export const p4typesMessages = {
  P4TypeInfo: {
    structs: 'map P4StructTypeSpec 1',
    headers: 'map P4HeaderTypeSpec 2',
    headerUnions: 'map P4HeaderUnionTypeSpec 3',
    enums: 'map P4EnumTypeSpec 4',
    error: 'P4ErrorTypeSpec 5',
    serializableEnums: 'map P4SerializableEnumTypeSpec 6',
    newTypes: 'map P4NewTypeSpec 7',
  },
  P4DataTypeSpec: {
    'oneof:typeSpec': {
      bitstring: 'P4BitstringLikeTypeSpec 1',
      bool: 'P4BoolType 2',
      tuple: 'P4TupleTypeSpec 3',
      struct: 'P4NamedType 4',
      header: 'P4NamedType 5',
      headerUnion: 'P4NamedType 6',
      headerStack: 'P4HeaderStackTypeSpec 7',
      headerUnionStack: 'P4HeaderUnionStackTypeSpec 8',
      enum: 'P4NamedType 9',
      error: 'P4ErrorType 10',
      serializableEnum: 'P4NamedType 11',
      newType: 'P4NamedType 12',
    },
  },
  P4NamedType: {
    name: 'string 1',
  },
  P4BoolType: {},
  P4ErrorType: {},
  P4BitstringLikeTypeSpec: {
    'oneof:typeSpec': {
      bit: 'P4BitTypeSpec 1',
      int: 'P4IntTypeSpec 2',
      varbit: 'P4VarbitTypeSpec 3',
    },
    annotations: 'repeated string 4',
    annotationLocations: 'repeated SourceLocation 5',
    structuredAnnotations: 'repeated StructuredAnnotation 6',
  },
  P4BitTypeSpec: {
    bitwidth: 'int32 1',
  },
  P4IntTypeSpec: {
    bitwidth: 'int32 1',
  },
  P4VarbitTypeSpec: {
    maxBitwidth: 'int32 1',
  },
  P4TupleTypeSpec: {
    members: 'repeated P4DataTypeSpec 1',
  },
  P4StructTypeSpec: {
    members: 'repeated P4StructTypeSpec.Member 1',
    annotations: 'repeated string 2',
    annotationLocations: 'repeated SourceLocation 3',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
  'P4StructTypeSpec.Member': {
    name: 'string 1',
    typeSpec: 'P4DataTypeSpec 2',
  },
  P4HeaderTypeSpec: {
    members: 'repeated P4HeaderTypeSpec.Member 1',
    annotations: 'repeated string 2',
    annotationLocations: 'repeated SourceLocation 3',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
  'P4HeaderTypeSpec.Member': {
    name: 'string 1',
    typeSpec: 'P4BitstringLikeTypeSpec 2',
  },
  P4HeaderUnionTypeSpec: {
    members: 'repeated P4HeaderUnionTypeSpec.Member 1',
    annotations: 'repeated string 2',
    annotationLocations: 'repeated SourceLocation 3',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
  'P4HeaderUnionTypeSpec.Member': {
    name: 'string 1',
    header: 'P4NamedType 2',
  },
  P4HeaderStackTypeSpec: {
    header: 'P4NamedType 1',
    size: 'int32 2',
  },
  P4HeaderUnionStackTypeSpec: {
    headerUnion: 'P4NamedType 1',
    size: 'int32 2',
  },
  KeyValuePair: {
    key: 'string 1',
    value: 'Expression 2',
  },
  KeyValuePairList: {
    kvPairs: 'repeated KeyValuePair 1',
  },
  Expression: {
    'oneof:value': {
      stringValue: 'string 1',
      int64Value: 'int64 2',
      boolValue: 'bool 3',
    },
  },
  ExpressionList: {
    expressions: 'repeated Expression 1',
  },
  StructuredAnnotation: {
    name: 'string 1',
    'oneof:body': {
      expressionList: 'ExpressionList 2',
      kvPairList: 'KeyValuePairList 3',
    },
    sourceLocation: 'SourceLocation 4',
  },
  SourceLocation: {
    file: 'string 1',
    line: 'int32 2',
    column: 'int32 3',
  },
  P4EnumTypeSpec: {
    members: 'repeated P4EnumTypeSpec.Member 1',
    annotations: 'repeated string 2',
    annotationLocations: 'repeated SourceLocation 4',
    structuredAnnotations: 'repeated StructuredAnnotation 3',
  },
  'P4EnumTypeSpec.Member': {
    name: 'string 1',
    annotations: 'repeated string 2',
    annotationLocations: 'repeated SourceLocation 4',
    structuredAnnotations: 'repeated StructuredAnnotation 3',
  },
  P4SerializableEnumTypeSpec: {
    underlyingType: 'P4BitTypeSpec 1',
    members: 'repeated P4SerializableEnumTypeSpec.Member 2',
    annotations: 'repeated string 3',
    annotationLocations: 'repeated SourceLocation 5',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
  'P4SerializableEnumTypeSpec.Member': {
    name: 'string 1',
    value: 'bytes 2',
    annotations: 'repeated string 3',
    annotationLocations: 'repeated SourceLocation 5',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
  P4ErrorTypeSpec: {
    members: 'repeated string 1',
  },
  P4NewTypeTranslation: {
    uri: 'string 1',
    'oneof:sdnType': {
      sdnBitwidth: 'int32 2',
      sdnString: 'P4NewTypeTranslation.SdnString 3',
    },
  },
  'P4NewTypeTranslation.SdnString': {},
  P4NewTypeSpec: {
    'oneof:representation': {
      originalType: 'P4DataTypeSpec 1',
      translatedType: 'P4NewTypeTranslation 2',
    },
    annotations: 'repeated string 3',
    annotationLocations: 'repeated SourceLocation 5',
    structuredAnnotations: 'repeated StructuredAnnotation 4',
  },
} as const;

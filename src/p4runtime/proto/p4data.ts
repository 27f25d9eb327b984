/** Values of P4 types, in digests and registers: package `p4.v1`, names and numbers of the standard. */
export const p4dataMessages = {
  P4Data: {
    'oneof:data': {
      bitstring: 'bytes 1',
      varbit: 'P4Varbit 2',
      bool: 'bool 3',
      tuple: 'P4StructLike 4',
      struct: 'P4StructLike 5',
      header: 'P4Header 6',
      headerUnion: 'P4HeaderUnion 7',
      headerStack: 'P4HeaderStack 8',
      headerUnionStack: 'P4HeaderUnionStack 9',
      enum: 'string 10',
      error: 'string 11',
      enumValue: 'bytes 12',
    },
  },
  P4Varbit: {
    bitstring: 'bytes 1',
    bitwidth: 'int32 2',
  },
  P4StructLike: {
    members: 'repeated P4Data 1',
  },
  P4Header: {
    isValid: 'bool 1',
    bitstrings: 'repeated bytes 2',
  },
  P4HeaderUnion: {
    validHeaderName: 'string 1',
    validHeader: 'P4Header 2',
  },
  P4HeaderStack: {
    entries: 'repeated P4Header 1',
  },
  P4HeaderUnionStack: {
    entries: 'repeated P4HeaderUnion 1',
  },
} as const;

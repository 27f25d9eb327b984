/** The two well-known messages that P4Runtime embeds. */
export const protobufMessages = {
  Any: { typeUrl: 'string 1', value: 'bytes 2' },
} as const;

export const rpcMessages = {
  Status: { code: 'int32 1', message: 'string 2', details: 'repeated .google.protobuf.Any 3' },
} as const;

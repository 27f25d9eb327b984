// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto


/**
 * A field of a controller header.
 */
export interface PacketMetadata {
  'metadataId'?: (number);
  'value'?: (Buffer | Uint8Array | string);
}

/**
 * A field of a controller header.
 */
export interface PacketMetadata__Output {
  'metadataId': (number);
  'value': (Buffer);
}

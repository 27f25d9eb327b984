// Original file: src/p4runtime/proto/p4/config/v1/p4info.proto


/**
 * What the author says of it.
 */
export interface Documentation {
  'brief'?: (string);
  'description'?: (string);
}

/**
 * What the author says of it.
 */
export interface Documentation__Output {
  'brief': (string);
  'description': (string);
}

/** Numbers of the transports that definitions name. */
export const PROTOCOL_NUMBERS = { tcp: [6], udp: [17], icmp: [1, 58] } as const;

export { isAmong, type Member, memberFor } from './balance.ts';
export {
  createSender,
  createWireSender,
  type ProbeReply,
  type Sender,
  type SenderOptions,
  type SendResult,
  type WireOptions,
} from './sender.ts';
export { type WireShape, wireShape } from './shape.ts';
export { addressOf, type Peer } from './socket.ts';
export { answeredBy, type SendStatistics } from './statistics.ts';
export { type LostRow, NO_ANSWER } from './transfer.ts';

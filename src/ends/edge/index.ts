export { isAmong, type Member, memberFor } from '../common/balance.ts';
export { addressOf, type Peer } from '../common/socket.ts';
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
export { answeredBy, type SendStatistics } from './statistics.ts';
export { type LostRow, NO_ANSWER } from './transfer.ts';

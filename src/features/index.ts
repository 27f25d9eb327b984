export { checkDefinition, endsAreTold, type FeatureDefinition, type Scalar } from './definition.ts';
export { type FeaturesFile, featuresSchema } from './definition-schema.ts';
export {
  acceptsPacket,
  FeatureExecutor,
  type FeatureRow,
  type Flow,
  type FlowEnds,
  type Outcome,
} from './executor.ts';
export { fields } from './fields.ts';
export { floorLog2, log8 } from './log8.ts';
export { type ParsedPacket, parsePacket } from './packet.ts';
export { galleryNames, parseFeatures, parseYamlDocument, readFeatures } from './read.ts';

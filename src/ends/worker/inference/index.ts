/** The Open Inference Protocol, version 2, of a worker. */
export { inferenceListenFault } from './access.ts';
export { openInferenceGrpc } from './grpc.ts';
export { openInferenceHttp } from './http.ts';
export { ModelServer } from './model-server.ts';
export { Repository } from './repository.ts';

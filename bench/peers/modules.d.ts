// The other engines are installed by bench/peers/package.json only: the root's type check must pass without them.
declare module '@jax-js/jax';
declare module '@tensorflow/tfjs';
declare module '@tensorflow/tfjs-backend-webgpu';
declare module 'onnxruntime-node';

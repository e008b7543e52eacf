export type ArmGroup = 'core' | 'fast ablation' | 'quality' | 'heads';
export type InputKind = 'raw' | 'grey' | 'jpeg';

import type { Config } from '../model/config.ts';

/** What is a variant's own in what it learns from, and with (spec: training.md, sections 1 and 2). */
export interface Course {
  /** Tensors besides PLoRA, image start and end that learn by the paper's choice. */
  learns: RegExp;
  /** What stands for a picture: its tokens, or the codes of these. */
  pictures: 'tokens' | 'codes';
  /** Whether a drawn picture is hidden whole, in place of some of its tokens. */
  hidesAll: boolean;
  /** Whether several examples may go through the model at once. */
  together: boolean;
  /** Times that are drawn for a picture of which `hidden` tokens are hidden. */
  times(draws: number, hidden: number): number;
  /** Tokens' worth of noise that is drawn for it. */
  noised(draws: number, hidden: number): number;
  /** Pictures are read with noise, at one time below this. */
  readBelow?: number;
}

const around = /^(post_projector|embedding_vit|vis_projector|diffusion|image_head)\./;

const courses: Record<Config['variant'], Course> = {
  mmar: {
    learns: around,
    pictures: 'tokens',
    hidesAll: false,
    together: true,
    times: (draws, hidden) => draws * hidden,
    noised: (draws, hidden) => draws * hidden,
  },
  vq: { learns: around, pictures: 'codes', hidesAll: false, together: true, times: () => 0, noised: () => 0 },
  transfusion: {
    learns: /^transfusion\./,
    pictures: 'tokens',
    hidesAll: true,
    together: false,
    times: () => 1,
    noised: (_, hidden) => hidden,
    readBelow: 501,
  },
};

export const courseOf = ({ variant }: Config): Course => courses[variant];

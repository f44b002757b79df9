// Part of a kernel's main: adds the product of the staged tiles to c.
      for (var j = 0u; j < depth; j++) {
#for n in ${tile_n}
        let p#n = w_tile[j * w_stride + column + #nu * across];
        let q#n = w_tile[j * w_stride + column + #nu * across + q_stride];
        let r#n = w_tile[j * w_stride + column + #nu * across + 2u * q_stride];
        let s#n = w_tile[j * w_stride + column + #nu * across + 3u * q_stride];
#endfor
#for i in ${tile_m}
        {
          let v = x_tile[j * x_stride + row + #iu * ${down}u];
#for n in ${tile_n}
#if ${transposed}
          c#i_#n += v.x * vec4<f32>(p#n.x, q#n.x, r#n.x, s#n.x);
          c#i_#n += v.y * vec4<f32>(p#n.y, q#n.y, r#n.y, s#n.y);
          c#i_#n += v.z * vec4<f32>(p#n.z, q#n.z, r#n.z, s#n.z);
          c#i_#n += v.w * vec4<f32>(p#n.w, q#n.w, r#n.w, s#n.w);
#else
          c#i_#n += v.x * p#n;
          c#i_#n += v.y * q#n;
          c#i_#n += v.z * r#n;
          c#i_#n += v.w * s#n;
#endif
#endfor
        }
#endfor
      }

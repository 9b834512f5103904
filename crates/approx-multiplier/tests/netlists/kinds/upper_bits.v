// Unsigned 3 x 3 bits: the upper four bits of the product, floor(a * b / 4)
module mul3u_upper(input [2:0] a, input [2:0] b, output [3:0] p);
  wire [5:0] full = a * b;
  assign p = full[5:2];
endmodule

(* top *) module m #(parameter W = 2, signed D = 2*W)
  (input signed [W-1:0] a, input wire [0:1] \b! , output [D-1:0] o);
  wire [3:0] x = {{2{a[1]}}, a} * {2'b0, \b! }, y;
  supply1 one;
  assign y[3:2] = x[1 +: 2], {y[1], y[0]} = $signed(a) >>> 1'b1;
  assign o = a == -1 ? x : ^y & one ? ~x + 4'hF : (x << \b! ) - 7 / 2; // end
endmodule

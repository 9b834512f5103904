module mul2u_table (
  input [1:0] a,
  input [1:0] b,
  output reg [3:0] product
);
  always @* begin
    case ({a, b})
      4'h0: product = 4'h0;
      4'h1: product = 4'h0;
      4'h2: product = 4'h0;
      4'h3: product = 4'h0;
      4'h4: product = 4'h0;
      4'h5: product = 4'h1;
      4'h6: product = 4'h2;
      4'h7: product = 4'h3;
      4'h8: product = 4'h0;
      4'h9: product = 4'h2;
      4'ha: product = 4'h4;
      4'hb: product = 4'h6;
      4'hc: product = 4'h0;
      4'hd: product = 4'h3;
      4'he: product = 4'h6;
      4'hf: product = 4'h9;
      default: product = {4{1'bx}};
    endcase
  end
endmodule

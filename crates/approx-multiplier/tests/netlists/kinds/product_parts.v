module partial(x, bit, row);
  output [1:0] row;
  input [1:0] x; input bit;
  and (row[0], x[0], bit);
  and second(row[1], x[1], bit);
endmodule
module half_adder(x, y, s, c);
  input x, y; output s, c;
  xor (s, x, y); and (c, x, y);
endmodule

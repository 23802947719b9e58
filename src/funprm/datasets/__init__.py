"""Where problems come from: public benchmarks, files of one's own, the generated mini benchmark."""

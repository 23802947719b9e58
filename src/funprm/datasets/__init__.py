"""Problems: public benchmarks, the generated one, and files of your own."""

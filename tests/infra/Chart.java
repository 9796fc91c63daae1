import com.marcnuri.helm.Helm;
import java.nio.file.Path;
import java.util.Arrays;

/** Helm's lint of a chart, then what it renders: java -cp 'infra/helm/target/libs/*' tests/infra/Chart.java CHART [key=value …] */
class Chart {
  public static void main(String[] given) {
    var helm = new Helm(Path.of(given[0]));
    var lint = helm.lint().strict().call();
    lint.getMessages().forEach(System.err::println);
    if (lint.isFailed()) {
      System.exit(1);
    }
    var template = helm.template().withName("proficio").withNamespace("learning");
    Arrays.stream(given).skip(1).map(one -> one.split("=", 2)).forEach(one -> template.set(one[0], one[1]));
    System.out.println(template.call());
  }
}
